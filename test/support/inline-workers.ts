// The worker threads' tasks, carried out in place: thousands of simulated histories can't start threads for each.
import { createChunker } from '../../src/repository/create-chunker.ts';
import type { Repository } from '../../src/repository/repository.ts';
import type { Workers } from '../../src/repository/worker-pool.ts';
import type { WorkerTaskKind, WorkerTasks } from '../../src/repository/worker-protocol.ts';
import { resealBlobs } from '../../src/repository/worker-reseal.ts';
import { compareChunks, openBlobs, openBlobsInto, restoreBlobs } from '../../src/repository/worker-restore.ts';
import { hashPieces, scanBytes, scanFiles, sealBlobs } from '../../src/repository/worker-scan.ts';

export function inlineWorkers({ keys, config }: Pick<Repository, 'keys' | 'config'>): Workers {
  const tasks = {
    scanFiles,
    scanBytes: (task: WorkerTasks['scanBytes']['task']) => scanBytes(task, createChunker(task.chunker, config.chunker)),
    seal: (task: WorkerTasks['seal']['task']) => sealBlobs(keys, task),
    hash: hashPieces,
    openInto: (task: WorkerTasks['openInto']['task']) => openBlobsInto(keys, task),
    open: (task: WorkerTasks['open']['task']) => openBlobs(keys, task),
    reseal: (task: WorkerTasks['reseal']['task']) => resealBlobs(keys, task),
    restore: (task: WorkerTasks['restore']['task']) => restoreBlobs(keys, task),
    compare: compareChunks,
  };
  return {
    threadsMax: 2,
    async run<Kind extends WorkerTaskKind>(kind: Kind, task: WorkerTasks[Kind]['task']) {
      await new Promise((resolve) => setImmediate(resolve));
      if (!(kind in tasks)) throw new Error(`the simulation has no task '${kind}'`);
      const perform = tasks[kind as keyof typeof tasks] as (task: unknown) => unknown;
      return perform(task) as WorkerTasks[Kind]['result'];
    },
  };
}
