import { expect, test } from 'vitest';
import { contentOf, contentWords, type ItemUnit } from './proof-content.ts';

test.each([
  [[], 'nothing'],
  [
    [
      { what: 'table', count: 1 },
      { what: 'row', count: 1 },
    ],
    '1 table with 1 row',
  ],
  [
    [
      { what: 'table', count: 2 },
      { what: 'row', count: 500 },
      { what: 'sequence', count: 1 },
      { what: 'schema object', count: 7 },
    ],
    '2 tables with 500 rows, 1 sequence and 7 schema objects',
  ],
  [
    [
      { what: 'file', count: 2 },
      { what: 'byte', count: 2048 },
      { what: 'folder', count: 1 },
    ],
    '2 files of 2 KiB and 1 folder',
  ],
  [
    [
      { what: 'hash key', count: 3 },
      { what: 'library', count: 2 },
    ],
    '3 hash keys and 2 libraries',
  ],
])('%j reads as a person would say it', (content, words) => {
  expect(contentWords(content)).toBe(words);
});

test('items are summed up by what they hold, and schema objects are no rows', () => {
  const unitOf = (name: string): ItemUnit =>
    name.endsWith(')') ? { unit: 'schema object' } : { unit: 'row', container: 'table' };
  const items = [
    { name: 'x (schema: indexes)', rows: 3, sum: '' },
    { name: 'a', rows: 5, sum: '' },
    { name: 'b', rows: 0, sum: '' },
    { name: 'x (schema: columns)', rows: 9, sum: '' },
  ];
  const content = contentOf(items, unitOf);
  expect(content).toEqual([
    { what: 'table', count: 2 },
    { what: 'row', count: 5 },
    { what: 'schema object', count: 12 },
  ]);
});
