// What the processes of a simulated history do, and what each outcome means for what must be in the repositories.
import { backup } from '../../src/operations/backup/backup.ts';
import { copySnapshots } from '../../src/repository/copy.ts';
import { forgetSnapshots } from '../../src/repository/forget.ts';
import type { PruneOptions } from '../../src/repository/prune.ts';
import { prune } from '../../src/repository/prune-execute.ts';
import { rebuildIndex } from '../../src/repository/rebuild-index.ts';
import { rewriteTags } from '../../src/repository/rewrite-tags.ts';
import { generatedSource, mutate, type Files } from '../support/generated-source.ts';
import { restoreOne, type RestoreScene } from './restoring.ts';
import { numberOf, type SimulatedRepository } from './simulated-repository.ts';

export const operationKinds = ['backup', 'forget', 'prune', 'copy', 'tag', 'rebuild', 'restore'] as const;
export type OperationKind = (typeof operationKinds)[number];

export interface Scene extends RestoreScene {
  /** The other repository, from which `copy` takes. */
  readonly source: SimulatedRepository;
  /** Kinds of all operations of this step, which run beside one another. */
  readonly beside: readonly OperationKind[];
  readonly packTargetBytes: number;
  /** State of the application. */
  readonly files: { current: Files };
  readonly nextNumber: () => number;
}

export const operations: Record<OperationKind, (scene: Scene) => Promise<void>> = {
  async backup({ random, target, files, signal, packTargetBytes, open, nextNumber }) {
    const number = nextNumber();
    files.current = mutate(files.current, random);
    const expected = { files: files.current, state: 'maybe' as 'maybe' | 'sure' };
    target.expected.set(number, expected);
    const repository = await open(target);
    await backup(repository, generatedSource(expected.files, random), {
      component: 'app',
      host: 'shop',
      programVersion: '0.0.0',
      signal,
      packTargetBytes,
      tags: [`number=${number}`],
      pool: target.workers,
    });
    expected.state = 'sure';
  },

  async forget({ random, target, beside, signal, open }) {
    const numbers = new Set([...target.expected.keys()].filter(() => random() < 0.4));
    const chosen = [...numbers].filter((number) => target.expected.get(number)?.state === 'sure');
    const ids = await target.idsOf(new Set(chosen));
    const repository = await open(target);
    const setState = (state: 'maybe' | 'gone'): void => {
      for (const number of chosen) (target.expected.get(number) ?? { state }).state = state;
    };
    setState('maybe');
    await forgetSnapshots(repository, ids, { signal });
    // Who retags or copies at the same time may have made another snapshot of the same backup.
    if (!beside.includes('tag') && !beside.includes('copy')) setState('gone');
  },

  async prune({ random, target, signal, packTargetBytes, open }) {
    const repository = await open(target);
    const limits: PruneOptions['maxUnused'][] = [{ bytes: 0 }, { percent: 5 }, { percent: 50 }, 'unlimited'];
    const maxUnused = limits[Math.floor(random() * limits.length)] ?? 'unlimited';
    const maxRepackBytes = random() < 0.2 ? Math.floor(random() * 50_000) : undefined;
    await prune(repository, { maxUnused, maxRepackBytes, packTargetBytes, pool: target.workers, signal });
  },

  async copy({ random, target, source, beside, signal, packTargetBytes, open }) {
    const chosen = (await source.list()).filter(() => random() < 0.5);
    const from = await open(source);
    const to = await open(target);
    const wanted = chosen.map((snapshot) => ({ number: numberOf(snapshot), id: snapshot.id }));
    for (const { number } of wanted) {
      const { files } = source.expected.get(number) ?? { files: new Map<string, Buffer>() };
      if (target.expected.get(number)?.state !== 'sure') target.expected.set(number, { files, state: 'maybe' });
    }
    const snapshots = wanted.map(({ id }) => id);
    await copySnapshots(from, to, { snapshots, pool: source.workers, packTargetBytes, signal });
    if (beside.includes('forget')) return;
    for (const { number } of wanted) (target.expected.get(number) ?? { state: 'sure' }).state = 'sure';
  },

  async tag({ random, target, signal, open }) {
    const snapshots = (await target.list()).filter(() => random() < 0.4).map(({ id }) => id);
    const repository = await open(target);
    await rewriteTags(repository, { snapshots, add: [`color=${Math.floor(random() * 3)}`], signal });
  },

  async rebuild({ target, signal, open }) {
    const repository = await open(target);
    const { unreadable } = await rebuildIndex(repository, { signal });
    const [first] = unreadable;
    if (first !== undefined) throw new Error(`${first.file} can't be read: ${first.message}`);
  },

  restore: restoreOne,
};
