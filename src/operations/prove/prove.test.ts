import { describe, expect, test } from 'vitest';
import { AppError } from '../../base/errors.ts';
import { systemRandom } from '../../base/random.ts';
import type { Fingerprint } from '../../model/fingerprint.ts';
import type { Repository } from '../../repository/repository.ts';
import type { StoredSnapshot } from '../../repository/snapshot.ts';
import type { WorkerPool } from '../../repository/worker-pool.ts';
import type { Sandbox, Source } from '../../sources/source.ts';
import { madeSource } from '../../../test/support/made-source.ts';
import { noSignal } from '../../../test/support/repository.ts';
import { useProofScene, type ProofScene } from '../../../test/support/proof-scene.ts';
import { backup } from '../backup/backup.ts';

describe('a proof of a service', () => {
  let scene: ProofScene;
  let repository: Repository;
  let pool: WorkerPool;
  useProofScene((made) => {
    scene = made;
    ({ repository, pool } = made);
  });

  const fingerprint = (rows: number, sum: string, method = 'm1'): Fingerprint => ({
    version: 1,
    method,
    items: [{ name: 'shop.public.orders', rows, sum }],
  });

  async function snapshotWith(stored: Fingerprint | undefined): Promise<StoredSnapshot> {
    const source = madeSource({ entries: () => [], fingerprint: stored });
    const options = { component: `service-${systemRandom()}`, programVersion: 'test', signal: noSignal, pool };
    return (await backup(repository, source, options)).snapshot;
  }

  /** A service whose sandbox comes up with `found` in it, or breaks. */
  function service(found: Partial<Sandbox> | AppError, open: { count: number }): Source {
    const sandbox: Sandbox = {
      description: 'a sandbox',
      restore: () => Promise.resolve(),
      fingerprint: () => Promise.resolve(fingerprint(7, '42')),
      valueOf: () => Promise.resolve(1),
      [Symbol.asyncDispose]: () => Promise.resolve(),
      ...(found instanceof AppError ? {} : found),
    };
    return {
      ...madeSource({ entries: () => [] }),
      restore: {
        kind: 'service',
        unitOf: () => ({ unit: 'row', container: 'table' }),
        decide: () => Promise.reject(new Error('not asked for')),
        sandbox() {
          if (found instanceof AppError) return Promise.reject(found);
          open.count += 1;
          const dispose = async () => {
            open.count -= 1;
            await sandbox[Symbol.asyncDispose]();
          };
          return Promise.resolve({ ...sandbox, [Symbol.asyncDispose]: dispose });
        },
      },
    };
  }

  const stored = fingerprint(7, '42');
  const missingTool = new AppError('TOOL_MISSING', 'no server of version 15', { hint: 'Install it.' });
  test.each([
    ['passes where the fingerprint agrees', stored, {}, 'passed', '1 table with 7 rows came back as they were'],
    [
      'fails where a row is lost',
      stored,
      { fingerprint: () => Promise.resolve(fingerprint(6, '40')) },
      'failed',
      '6 rows instead of 7',
    ],
    [
      'fails where a row is another',
      stored,
      { fingerprint: () => Promise.resolve(fingerprint(7, '43')) },
      'failed',
      'not the same',
    ],
    [
      'fails where a table is lost',
      stored,
      { fingerprint: () => Promise.resolve({ ...stored, items: [] }) },
      'failed',
      'missing',
    ],
    ['fails where a table is added', { ...stored, items: [] }, {}, 'failed', 'added'],
    [
      'fails where the restore does',
      stored,
      { restore: () => Promise.reject(new Error('line 7: syntax error')) },
      'failed',
      'syntax error',
    ],
    ['fails where a check does', stored, { valueOf: () => Promise.resolve(0) }, 'failed', 'select'],
    ['is inconclusive without a fingerprint', undefined, {}, 'inconclusive', 'no fingerprint'],
    ['is inconclusive with one of another method', fingerprint(7, '42', 'm0'), {}, 'inconclusive', "'m0'"],
    ['is inconclusive where a tool is missing', stored, missingTool, 'inconclusive', 'version 15'],
    [
      'tells what could not be cleaned away, and its verdict stays',
      stored,
      { [Symbol.asyncDispose]: () => Promise.reject(new Error('pid 7 stays')) },
      'passed',
      'pid 7 stays',
    ],
  ] as [string, Fingerprint | undefined, Partial<Sandbox> | AppError, string, string][])(
    '%s',
    async (...[, expected, found, outcome, words]) => {
      const open = { count: 0 };
      const source = service(found, open);
      const proof = await scene.proofOf(await snapshotWith(expected), { source, checks: [{ sql: 'select count(*)' }] });
      expect(proof.outcome).toBe(outcome);
      expect(proof.message).toContain(words);
      expect(open.count).toBe(0);
    },
  );
});
