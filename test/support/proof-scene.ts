// What tests of proofs share: a repository, threads, and a folder to work in that must be empty afterwards.
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import type { Proof } from '../../src/model/proof.ts';
import type { ProveRequest } from '../../src/operations/prove/evidence.ts';
import { prove } from '../../src/operations/prove/prove.ts';
import type { PointParts } from '../../src/operations/restore/recovery-reader.ts';
import { loadIndex } from '../../src/repository/load-index.ts';
import type { Repository } from '../../src/repository/repository.ts';
import type { StoredSnapshot } from '../../src/repository/snapshot.ts';
import { WorkerPool } from '../../src/repository/worker-pool.ts';
import { madeSource } from './made-source.ts';
import { createRepository, noSignal } from './repository.ts';
import { temporaryFolder, type TemporaryFolder } from './temporary-folder.ts';

export type ProofOptions = Partial<Pick<ProveRequest, 'source' | 'checks' | 'workFolder' | 'pool'>> & {
  readonly signal?: AbortSignal;
};

export interface ProofScene {
  /** Holds the repository and the working folder. */
  readonly folder: string;
  readonly repository: Repository;
  readonly pool: WorkerPool;
  readonly work: string;
  parts(snapshot: StoredSnapshot): Promise<PointParts>;
  proofOf(snapshot: StoredSnapshot, options?: ProofOptions): Promise<Proof>;
}

/** Calls `set` once, before all tests. */
export function useProofScene(set: (scene: ProofScene) => void): void {
  let home: TemporaryFolder;
  let pool: WorkerPool;
  let work: string;

  beforeAll(async () => {
    home = await temporaryFolder();
    work = join(home.path, 'work');
    const repository = await createRepository(home.path);
    pool = new WorkerPool(repository);
    const parts = async (snapshot: StoredSnapshot): Promise<PointParts> => {
      const index = await loadIndex(repository, noSignal);
      return { indexed: { repository, index }, pool, snapshot };
    };
    set({
      folder: home.path,
      repository,
      pool,
      work,
      parts,
      async proofOf(snapshot, { signal = noSignal, ...chosen } = {}) {
        const fixed = { component: 'files', clock: systemClock, program: 'test', checks: [], workFolder: work };
        const source = madeSource({ entries: () => [] });
        return prove({ ...(await parts(snapshot)), ...fixed, source, ...chosen }, signal);
      },
    });
  });
  afterAll(async () => {
    await pool[Symbol.asyncDispose]();
    await home[Symbol.asyncDispose]();
  });
  beforeEach(() => {
    mkdirSync(work);
  });
  afterEach(() => rmSync(work, { recursive: true }));
}
