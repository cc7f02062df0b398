import fc from 'fast-check';
import { expect, test } from 'vitest';
import { databaseOf, dumpPath } from './logical/entry-paths.ts';
import { itemName } from './item-name.ts';
import { nameStamp, namesWithEnding, restoreTarget } from './logical/restore-target.ts';
import { connectionString } from './run-program.ts';
import type { ServerAddress } from './server-address.ts';

const origin: ServerAddress = {
  host: 'db.example',
  port: 5433,
  user: 'app',
  password: 'secret',
  ssl: { mode: 'require' },
};

test('any database name becomes one plain path component and is read back from it', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme', minLength: 1, maxLength: 63 }), (name) => {
      const path = dumpPath(name);
      expect(path).toMatch(/^\/databases\/[^/\0]+\.dump$/);
      expect(databaseOf(path)).toBe(name);
    }),
  );
  expect(databaseOf('/globals.sql')).toBeUndefined();
});

test('names of different things never become the same item', () => {
  fc.assert(
    fc.property(
      fc.array(fc.string(), { minLength: 3, maxLength: 3 }),
      fc.array(fc.string(), { minLength: 3, maxLength: 3 }),
      (left, right) => {
        expect(itemName(...left) === itemName(...right)).toBe(left.every((part, index) => part === right[index]));
      },
    ),
  );
  expect(itemName('a.b', 'c')).not.toBe(itemName('a', 'b.c'));
});

test('a target is an address, a name on the original server, or the origin', () => {
  expect(restoreTarget(undefined, origin)).toEqual({ address: origin, database: undefined });
  expect(restoreTarget('copy', origin)).toEqual({ address: origin, database: 'copy' });
  expect(restoreTarget('postgres://m%40e@other/na%2Fme', origin)).toEqual({
    address: { ...origin, host: 'other', port: 5432, user: 'm@e' },
    database: 'na/me',
  });
  expect(restoreTarget('postgresql://[::1]:6000', origin)).toEqual({
    address: { ...origin, host: '::1', port: 6000 },
    database: undefined,
  });
  expect(restoreTarget('postgres://db.example/x', origin).address.port).toBe(5433);
  expect(() => restoreTarget('postgres://h:notaport/x', origin)).toThrow(expect.objectContaining({ code: 'USAGE' }));
});

test('another role than the one that backs up has the password that is meant for it', () => {
  const known = { ...origin, user: 'app', password: 'of app' };
  const passwordOf = (to: string) => restoreTarget(to, known, 'of others').address.password;
  expect(passwordOf('postgres://admin@db.example/x')).toBe('of others');
  expect(passwordOf('postgres://app@db.example/x')).toBe('of app');
  expect(passwordOf('copy')).toBe('of app');
  expect(restoreTarget('postgres://admin@db.example/x', known).address.password).toBe('of app');
});

test('a long name is cut by whole characters so that its ending survives the limit of 63 bytes', () => {
  expect(namesWithEnding(['ü'.repeat(40)], '_before_x')).toEqual([`${'ü'.repeat(27)}_before_x`]);
  expect(nameStamp(Date.UTC(2026, 10, 20, 18, 52, 0, 999))).toBe('20261120t185200');
});

test('names that are alike where they are cut stay different', () => {
  const tenants = ['one', 'two', 'three'].map((tenant) => `customers_of_the_production_system_${tenant}`);
  const ending = '_lifeboat_new_20261120t185200';
  const names = namesWithEnding(tenants, ending);
  expect(new Set(names).size).toBe(3);
  for (const name of names) {
    expect(Buffer.byteLength(name)).toBeLessThanOrEqual(63);
    expect(name.endsWith(ending)).toBe(true);
  }
});

test('a percent sign that encodes nothing stands for itself in a target', () => {
  expect(restoreTarget('postgres://100%pure@other/x', origin).address.user).toBe('100%pure');
});

test.each(['postgres://me:hushed@other/x', 'postgresql://:hushed@other', 'postgres://me@other/x?password=hushed'])(
  'a password is refused in %s, and not repeated',
  (to) => {
    expect(() => restoreTarget(to, origin)).toThrow(
      expect.objectContaining({ code: 'SECRET_IN_ARGUMENT', hint: expect.stringContaining('PGPASSWORD') }),
    );
    expect(() => restoreTarget(to, origin)).not.toThrow('hushed');
  },
);

test('parameters of a target are refused rather than left unread', () => {
  expect(() => restoreTarget('postgres://me@other/x?sslmode=require', origin)).toThrow(
    expect.objectContaining({ code: 'USAGE', hint: expect.stringContaining('TLS') }),
  );
});

test('a connection string quotes what would otherwise be read as more settings', () => {
  expect(connectionString(String.raw`x' host='evil\ `)).toBe(String.raw`dbname='x\' host=\'evil\\ '`);
});
