import { expect, test } from 'vitest';
import { wayToWrite, type SentinelState } from './sentinel-table.ts';

const login = { user: 'life"boat', database: 'shop' };
const nothing: SentinelState = {
  isStandby: false,
  mayCreateSchema: false,
  hasSchema: false,
  hasTable: false,
  mayUse: false,
  mayCreateTable: false,
  mayWrite: false,
};
const way = (changes: Partial<SentinelState>) => wayToWrite({ ...nothing, ...changes }, login);

test('a table that may be written is taken as it is', () => {
  expect(way({ hasSchema: true, hasTable: true, mayUse: true, mayWrite: true })).toEqual({ kind: 'ready' });
});

test('what is missing is made where the role may', () => {
  expect(way({ mayCreateSchema: true })).toMatchObject({
    kind: 'create',
    statements: [/CREATE SCHEMA/, /CREATE TABLE/].map((form) => expect.stringMatching(form)),
  });
  expect(way({ hasSchema: true, mayUse: true, mayCreateTable: true })).toMatchObject({
    kind: 'create',
    statements: [expect.stringMatching(/CREATE TABLE/)],
  });
});

test('what the role may not is said with the statements that mend it', () => {
  expect(way({})).toMatchObject({
    kind: 'lacking',
    message: 'there is no table lifeboat.sentinel in database shop, and life"boat may not create it',
    hint: expect.stringMatching(
      /^Run as a superuser in database shop: CREATE SCHEMA .*; CREATE TABLE .*; GRANT USAGE ON SCHEMA lifeboat TO "life""boat"; GRANT .*;$/,
    ),
  });
  expect(way({ hasSchema: true, hasTable: true, mayUse: true })).toMatchObject({
    kind: 'lacking',
    hint: expect.not.stringContaining('CREATE'),
  });
});

test('a standby takes no rows', () => {
  expect(way({ isStandby: true, hasSchema: true, hasTable: true, mayUse: true, mayWrite: true })).toMatchObject({
    kind: 'lacking',
    message: expect.stringContaining('standby'),
  });
});
