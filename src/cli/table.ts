// Tables of text that fit the terminal: columns as wide as their content, and where that is too much, those that may
// shrink go on in further lines. Nothing is cut. Control characters that a name may hold never reach the terminal.
import { stripVTControlCharacters } from 'node:util';
import { columnsOf, linesOf, paints, type Style } from './style.ts';

export interface Column {
  readonly title: string;
  readonly align?: 'left' | 'right';
  /** May be as narrow as this, in several lines, where one would be too long; always in one line if absent. */
  readonly shrinksTo?: number;
}

const gap = '  ';

export function table(columns: readonly Column[], rows: readonly (readonly string[])[], style: Style): string {
  const cells = rows.map((row) => columns.map((_, at) => visible(row[at] ?? '', style)));
  const wanted = columns.map(({ title }, at) =>
    Math.max(title.length, ...cells.map((row) => columnsOf(row[at] ?? ''))),
  );
  const widths = fit(columns, wanted, style.widthColumns);
  const lines = (row: readonly string[]): string[] => {
    const parts = columns.map((_, at) => cellLines(row[at] ?? '', widths[at] ?? 0));
    const height = Math.max(...parts.map(({ length }) => length));
    return Array.from({ length: height }, (_, line) =>
      columns
        .map((column, at) => padded(parts[at]?.[line] ?? '', widths[at] ?? 0, column))
        .join(gap)
        .trimEnd(),
    );
  };
  const header = lines(columns.map(({ title }) => title)).map((line) => style.paint('bold', line));
  return [...header, ...cells.flatMap(lines)].join('\n');
}

/** Our own colours stay; whatever else could steer the terminal is shown as a question mark. */
function visible(text: string, style: Style): string {
  const own = new Set(paints.flatMap((paint) => style.paint(paint, '\0').split('\0')));
  // oxlint-disable-next-line no-control-regex -- control characters are what is looked for
  return text.replaceAll(/\u001B\[[\d;]*m|[\u0000-\u001F\u007F-\u009F]/g, (found) => (own.has(found) ? found : '?'));
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

/** A text that needs several lines loses its colour, which would run into the columns beside it. */
function cellLines(text: string, width: number): readonly string[] {
  return columnsOf(text) <= width ? [text] : linesOf(stripVTControlCharacters(text), width);
}

function padded(text: string, width: number, { align = 'left' }: Column): string {
  const room = ' '.repeat(width - columnsOf(text));
  return align === 'left' ? text + room : room + text;
}
