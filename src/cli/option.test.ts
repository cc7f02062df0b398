import { expect, test } from 'vitest';
import { commandTable } from './command-table.ts';
import { parseSample } from './commands/verify.ts';
import { parsedOption } from './option.ts';
import { namesToLoad } from './program.ts';
import { wrap } from './style.ts';

test('an option that does not read says what was found and what is expected', () => {
  const option = parsedOption('--last <count>', 'only the newest', {
    expected: 'a whole number',
    parse: (text) => (/^\d+$/.test(text) ? Number(text) : undefined),
  });
  expect(option.read('12')).toBe(12);
  expect(option.read(undefined)).toBeUndefined();
  expect(() => option.read('many')).toThrow(
    expect.objectContaining({ code: 'USAGE', message: "--last <count>: found 'many', expected a whole number" }),
  );
});

test.each([
  ['1/7', { part: 1, of: 7 }],
  ['7/7', { part: 7, of: 7 }],
  ['0/7', undefined],
  ['8/7', undefined],
  ['1', undefined],
  ['1/0', undefined],
  ['-1/7', undefined],
])('a sample of %s is %o', (text, expected) => {
  expect(parseSample(text)).toEqual(expected);
});

test('only the commands that a line names are loaded, and all for the help of the program or where none is named', () => {
  expect(namesToLoad(['--repository', 'x', 'snapshots'])?.has('snapshots')).toBe(true);
  expect(namesToLoad(['snapshots'])?.has('backup')).toBe(false);
  expect(namesToLoad(['snapshots', '--help'])?.has('backup')).toBe(false);
  const all = [[], ['--help'], ['--help', 'snapshots'], ['nonsense'], ['nonsense', '-h'], ['completion', 'bash']];
  expect(all.filter((args) => namesToLoad(args) !== undefined)).toEqual([]);
});

test('no two commands have one name', () => {
  const names = commandTable.flatMap((entry) => [
    entry.name,
    ...(entry.commands ?? []).map(({ name }) => `${entry.name} ${name}`),
  ]);
  expect(new Set(names).size).toBe(names.length);
});

test('text is broken between words, and a word that is too long inside', () => {
  expect(wrap('one two three four five', 16)).toEqual(['one two three', 'four five']);
  expect(wrap(`see ${'x'.repeat(40)} there`, 16)).toEqual(['see', 'x'.repeat(16), 'x'.repeat(16), 'xxxxxxxx there']);
  expect(wrap('first\nsecond', 16)).toEqual(['first', 'second']);
});
