import { expect, test } from 'vitest';
import type { RecoveryPoint } from './recovery-point.ts';
import { decideServerRestore, type ServerRestoreInput } from './server-decision.ts';

function inputOf(
  info: Record<string, string>,
  change: Partial<Omit<ServerRestoreInput, 'info' | 'point'>> & { readonly point?: Partial<RecoveryPoint> } = {},
): ServerRestoreInput {
  const keys = new Map([[0, 10]]);
  const point = { sizeBytes: 10, rdbVersion: 10, usedMemoryBytes: 1000, keys, fingerprint: undefined, ...change.point };
  const all = { redis_version: '7.0.15', role: 'master', used_memory: '1000', maxmemory: '0', ...info };
  return { databaseCount: 16, include: [], ...change, point, info: new Map(Object.entries(all)) };
}

const failed = (input: ServerRestoreInput) =>
  decideServerRestore(input)
    .findings.filter(({ outcome }) => outcome === 'failed')
    .map(({ aspect }) => aspect);

test('an empty server is filled in place and nothing is replaced', () => {
  expect(decideServerRestore(inputOf({}))).toMatchObject({
    mode: 'fill',
    replaces: undefined,
    databases: [{ index: 0, writtenTo: 0 }],
  });
});

test('present keys are kept beside while databases and memory allow it', () => {
  const present = { db0: 'keys=3,expires=0,avg_ttl=0' };
  expect(decideServerRestore(inputOf(present))).toMatchObject({ mode: 'beside', replaces: 'db0: 3 keys' });
  expect(decideServerRestore(inputOf({ ...present, maxmemory: '2000' })).mode).toBe('beside');
  expect(decideServerRestore(inputOf({ ...present, maxmemory: '1999' })).mode).toBe('replace');
  expect(decideServerRestore(inputOf(present, { databaseCount: 1 })).mode).toBe('replace');
  expect(decideServerRestore(inputOf(present, { databaseCount: undefined })).mode).toBe('replace');
});

test('a database that the recovery point lacks is emptied too, and said to be replaced', () => {
  const decision = decideServerRestore(inputOf({ db4: 'keys=2,expires=0' }));
  expect(decision.replaces).toBe('db4: 2 keys');
  expect(decision.databases.map(({ index }) => index)).toEqual([0, 4]);
});

test.each([
  ['an old server', { redis_version: '6.2.1' }, ['data version']],
  ['a replica', { role: 'slave' }, ['role']],
  ['a cluster', { cluster_enabled: '1' }, ['cluster']],
  ['too little memory', { maxmemory: '999' }, ['memory']],
  ['a server of before time', { redis_version: '5.0.0' }, ['server version', 'data version']],
  ['a server that is newer', { redis_version: '10.0.0' }, []],
])('%s forbids the restore for the right reasons', (_, info, aspects) => {
  expect(failed(inputOf(info))).toEqual(aspects);
});

test('more databases than the target has forbid the restore', () => {
  expect(failed(inputOf({}, { databaseCount: 2, point: { keys: new Map([[2, 1]]) } }))).toEqual(['databases']);
});

test('a recovery point that could not be read key by key is not written key by key', () => {
  expect(failed(inputOf({}, { point: { keys: undefined } }))).toEqual(['content']);
});

test('data of a version newer than this program knows is inconclusive', () => {
  const { findings } = decideServerRestore(inputOf({}, { point: { rdbVersion: 80 } }));
  expect(findings).toContainEqual(expect.objectContaining({ aspect: 'data version', outcome: 'inconclusive' }));
});
