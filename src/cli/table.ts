// Tables of text that fit the terminal: columns as wide as their content, and where that is too much, those that may
// shrink are cut. Control characters that a name may hold never reach the terminal.
import { stripVTControlCharacters } from 'node:util';
import type { Style } from './style.ts';

export interface Column {
  readonly title: string;
  readonly align?: 'left' | 'right';
  /** May be cut to this many columns where the line would be too long; never cut if absent. */
  readonly shrinksTo?: number;
  /** Which end of a text to keep when it is cut: paths are told apart by their ends. */
  readonly keeps?: 'start' | 'end';
}

const gap = '  ';

export function table(columns: readonly Column[], rows: readonly (readonly string[])[], style: Style): string {
  const cells = rows.map((row) => columns.map((_, at) => visible(row[at] ?? '')));
  const wanted = columns.map(({ title }, at) =>
    Math.max(title.length, ...cells.map((row) => columnsOf(row[at] ?? ''))),
  );
  const widths = fit(columns, wanted, style.widthColumns);
  const line = (row: readonly string[]): string =>
    columns
      .map((column, at) => cell(row[at] ?? '', widths[at] ?? 0, column))
      .join(gap)
      .trimEnd();
  const header = style.paint('bold', line(columns.map(({ title }) => title)));
  return [header, ...cells.map(line)].join('\n');
}

/** How many columns a text takes; colours take none. */
function columnsOf(text: string): number {
  return Array.from(stripVTControlCharacters(text)).length;
}

/** Colours stay; whatever else could move the cursor is shown as a question mark. */
function visible(text: string): string {
  // oxlint-disable-next-line no-control-regex -- control characters are what is looked for
  return text.replaceAll(/\u001B\[[\d;]*m|[\u0000-\u001F\u007F-\u009F]/g, (found) =>
    found.startsWith('\u001B[') ? found : '?',
  );
}

function fit(columns: readonly Column[], wanted: readonly number[], widthColumns: number): number[] {
  const widths = [...wanted];
  const total = (): number => widths.reduce((sum, width) => sum + width, gap.length * (widths.length - 1));
  // The widest of those that may shrink gives way first.
  for (let excess = total() - widthColumns; excess > 0; excess = total() - widthColumns) {
    const roomAt = (at: number): number => {
      const least = columns[at]?.shrinksTo;
      return least === undefined || (widths[at] ?? 0) <= least ? 0 : (widths[at] ?? 0);
    };
    const widest = columns.reduce((best, _, at) => (roomAt(at) > roomAt(best) ? at : best), 0);
    if (roomAt(widest) === 0) break;
    widths[widest] = (widths[widest] ?? 0) - 1;
  }
  return widths;
}

function cell(text: string, width: number, { align = 'left', keeps = 'start' }: Column): string {
  const length = columnsOf(text);
  if (length <= width) return align === 'left' ? text + ' '.repeat(width - length) : ' '.repeat(width - length) + text;
  const characters = Array.from(stripVTControlCharacters(text));
  return keeps === 'start'
    ? `${characters.slice(0, width - 1).join('')}…`
    : `…${characters.slice(characters.length - width + 1).join('')}`;
}
