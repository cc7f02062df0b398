import { stripVTControlCharacters } from 'node:util';
import { describe, expect, test } from 'vitest';
import { plainStyle } from './style.ts';
import { table } from './table.ts';

const columns = [
  { title: 'ID' },
  { title: 'Size', align: 'right' as const },
  { title: 'Path', shrinksTo: 10 },
  { title: 'Note', shrinksTo: 6 },
];

describe('table', () => {
  test('makes columns as wide as their content, numbers to the right, nothing behind the last', () => {
    const text = table(
      columns,
      [
        ['a1', '1 KiB', '/srv/a', ''],
        ['b2', '12 KiB', '/srv/uploads', 'x'],
      ],
      plainStyle(),
    );
    expect(text).toMatchInlineSnapshot(`
      "ID    Size  Path          Note
      a1   1 KiB  /srv/a
      b2  12 KiB  /srv/uploads  x"
    `);
  });

  test.each([40, 60, 80])('never has a line of more than %i columns, and loses nothing', (widthColumns) => {
    const path = `/srv/${'deep/'.repeat(20)}report.pdf`;
    const note = 'a long note that goes on and on';
    const text = table(columns, [['0123abcd', '1.5 GiB', path, note]], plainStyle({ widthColumns }));
    const lines = text.split('\n');
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(widthColumns);
    const [from = 0, to = 0] = ['Path', 'Note'].map((title) => lines[0]?.indexOf(title));
    const rows = lines.slice(1);
    expect(rows.map((line) => line.slice(from, to).trim()).join('')).toBe(path);
    const words = rows.map((line) => line.slice(to).trim()).filter((word) => word !== '');
    expect(words.join(' ')).toBe(note);
    expect(rows.filter((line) => line.includes('0123abcd'))).toHaveLength(1);
  });

  test('puts what does not fit into further lines of its column', () => {
    const rows = [
      ['keep', 'daily snapshot, weekly snapshot', 'x'],
      ['remove', '', 'y'],
    ];
    const narrow = [{ title: 'What' }, { title: 'Why', shrinksTo: 14 }, { title: 'By' }];
    expect(table(narrow, rows, plainStyle({ widthColumns: 28 }))).toMatchInlineSnapshot(`
      "What    Why               By
      keep    daily snapshot,   x
              weekly snapshot
      remove                    y"
    `);
  });

  test('counts colours as nothing, so that columns stay straight', () => {
    const red = (text: string): string => `\u001B[31m${text}\u001B[39m`;
    const text = table(
      [{ title: 'State' }, { title: 'Name' }],
      [
        [red('bad'), 'x'],
        ['passed', 'y'],
      ],
      plainStyle({ paint: (_, one) => red(one) }),
    );
    expect(text).toContain(red('bad'));
    expect(stripVTControlCharacters(text)).toMatchInlineSnapshot(`
      "State   Name
      bad     x
      passed  y"
    `);
  });

  test('lets no control character of a name reach the terminal', () => {
    const text = table([{ title: 'Path' }], [['a\u001B[2Jb\u001B]0;title\u0007c\nd\re\u001B[31mf']], plainStyle());
    expect(text.split('\n')).toHaveLength(2);
    // oxlint-disable-next-line no-control-regex -- they are what must not be there
    expect(text).not.toMatch(/[\u0000-\u0009\u000B-\u001F\u007F]/);
  });
});
