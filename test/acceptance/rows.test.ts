// Holds the list of requirements equal to the titles of the tests that prove them.
import { globSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { laterRows, provenRows } from './rows.ts';

const row = /\b(?:S\d-\d{2,3}|SF-\d{2})\b/g;

/** Ids at the head of a title count; a test that is skipped or to be written proves nothing. */
const titled = new Set(
  globSync('*.test.ts', { cwd: import.meta.dirname })
    .map((name) => readFileSync(`${import.meta.dirname}/${name}`, 'utf8'))
    .flatMap((text) => [...text.matchAll(/^ *test\(\s*(['"`])((?:S[\dF]-\d+ )+).*\1,/gm)])
    .flatMap(([, , ids = '']) => ids.match(row) ?? []),
);
const proven = Object.values(provenRows).flat();

test('every requirement listed as proven stands in the title of a test here', () => {
  expect(proven.length).toBeGreaterThan(50);
  expect(proven.filter((id) => !titled.has(id))).toEqual([]);
});

test('every requirement in a title is listed, and none is proven and left for later', () => {
  expect([...titled].filter((id) => !proven.includes(id))).toEqual([]);
  expect(proven.filter((id) => id in laterRows)).toEqual([]);
  expect(new Set(proven).size).toBe(proven.length);
});
