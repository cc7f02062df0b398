import fc from 'fast-check';
import { expect, test } from 'vitest';
import { relationFile, relationPath } from './relation-file.ts';

test.each([
  ['base/5/16384', { folder: 'base/5', databaseOid: 5, fileNode: 16384, fork: 'main', segment: 0 }],
  ['base/5/16384.12', { fork: 'main', segment: 12 }],
  ['base/5/16384_fsm', { fork: 'fsm', segment: 0 }],
  ['base/5/16384_vm.1', { fork: 'vm', segment: 1 }],
  ['base/5/16384_init', { fork: 'init' }],
  ['global/1262', { folder: 'global', databaseOid: 0, tablespaceOid: undefined }],
  ['pg_tblspc/16400/PG_15_202209061/5/99', { databaseOid: 5, tablespaceOid: 16400, fileNode: 99 }],
  ['base/5/INCREMENTAL.16384_vm.2', { fileNode: 16384, fork: 'vm', segment: 2, isIncremental: true }],
])('%s holds pages of a relation', (path, expected) => {
  const file = relationFile(path);
  expect(file).toMatchObject(expected);
  expect(relationPath(file!)).toBe(path);
});

test.each([
  'base/5/PG_VERSION',
  'base/5/pg_filenode.map',
  'base/5/pg_internal.init',
  'global/pg_control',
  'PG_VERSION',
  'base/5/t3_16384',
  'base/5/16384_vm.0',
  'base/5/16384.01',
  'base/5/16384_foo',
  'base/16384',
  '16384',
  'pg_xact/0000',
  'pg_tblspc/16400/16384',
  'pg_tblspc/16400/PG_15_202209061/16384',
  'global/5/16384',
  '/16384',
  'base/pgsql_tmp/16384',
  'base/5/6/16384',
  'pg_wal/000000010000000000000001',
  '',
])('%j does not', (path) => {
  expect(relationFile(path)).toBeUndefined();
});

test('any path is answered', () => {
  const part = fc.constantFrom('base', 'global', 'pg_tblspc', '5', '16384', '16384_vm.1', 'PG_15_1', '..', '');
  fc.assert(
    fc.property(fc.array(part, { maxLength: 6 }), (parts) => {
      const path = parts.join('/');
      const file = relationFile(path);
      expect(file === undefined || relationPath(file) === path).toBe(true);
    }),
  );
});
