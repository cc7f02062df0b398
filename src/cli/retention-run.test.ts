// A decision that waits for its lock while the repository goes on: a proof comes in, a snapshot, or somebody else removes
// some. The store acts at the very moment between both.
import { expect, test } from 'vitest';
import { sampleRepository, type SampleRepository } from '../../test/support/sample-repository.ts';
import { noSignal } from '../../test/support/repository.ts';
import { watchRepository } from '../../test/support/watched-store.ts';
import type { Proof } from '../model/proof.ts';
import { forgetSnapshots } from '../repository/forget.ts';
import { loadSnapshots, type StoredSnapshot } from '../repository/snapshot.ts';
import { saveProof } from './proofs.ts';
import { decideRetentionOf, forgetShown, type RetainedSnapshot } from './retention-run.ts';

const request = { policyOf: () => ({ keepLast: 1 }), forgetProven: false };

function proofOf({ id, tree }: StoredSnapshot, time: string): Proof {
  const outcome = { outcome: 'passed', message: 'all equal', sandbox: 'here', durationSeconds: 1 } as const;
  const counts = { restoredBytes: 1, compared: 1, rows: 1, differences: [], checks: [] };
  return { version: 1, component: 'app', tree, snapshot: id, time, program: 'test', ...outcome, ...counts };
}

/** Shows what goes; then `meanwhile` happens, just before the lock is written; then it goes. */
async function forgetWhile(sample: SampleRepository, meanwhile: () => Promise<unknown>) {
  const { repository } = sample;
  const context = {
    clock: repository.clock,
    signal: noSignal,
    settings: { lockWaitMs: 0, isJson: false, showsBar: false },
  };
  const shown = await decideRetentionOf(repository, request, context);
  let isDone = false;
  const watched = watchRepository(repository, {
    async beforePut(name) {
      if (isDone || !name.startsWith('locks/')) return;
      isDone = true;
      await meanwhile();
    },
  });
  const outcome = await forgetShown(watched, { shown, request }, context);
  expect(isDone).toBe(true);
  return { shown: idsThatGo(shown), gone: idsThatGo(outcome), left: idsOf(await loadSnapshots(repository, noSignal)) };
}

const idsOf = (snapshots: readonly { readonly id: string }[]): string[] => snapshots.map(({ id }) => id);
const idsThatGo = (snapshots: readonly RetainedSnapshot[]): string[] => idsOf(snapshots.filter(({ keep }) => !keep));

test('a snapshot that is proven between the decision and the lock stays', async () => {
  const sample = await sampleRepository();
  const [first, second] = [await sample.save({ a: '1' }), await sample.save({ a: '2' })];
  const { shown, gone, left } = await forgetWhile(sample, () =>
    saveProof(sample.repository, proofOf(first, '2026-11-20T12:00:00Z'), noSignal),
  );
  expect(shown).toEqual([first.id]);
  expect(gone).toEqual([]);
  expect(left).toEqual([first.id, second.id]);
});

test('what a snapshot or a proof that came in lets go was not shown, and stays', async () => {
  const sample = await sampleRepository();
  const [first, second, third] = [
    await sample.save({ a: '1' }),
    await sample.save({ a: '2' }),
    await sample.save({ a: '3' }),
  ];
  await saveProof(sample.repository, proofOf(second, '2026-11-20T12:00:00Z'), noSignal);
  const { shown, gone, left } = await forgetWhile(sample, async () => {
    await sample.save({ a: '4' });
    await saveProof(sample.repository, proofOf(third, '2026-11-20T13:00:00Z'), noSignal);
  });
  expect(shown).toEqual([first.id]);
  expect(gone).toEqual([first.id]);
  expect(left).toEqual([second.id, third.id, expect.any(String)]);
});

test('the last one stays when somebody else removes those that were to stay', async () => {
  const sample = await sampleRepository();
  const [first, second] = [await sample.save({ a: '1' }), await sample.save({ a: '2' })];
  const { shown, left } = await forgetWhile(sample, () =>
    forgetSnapshots(sample.repository, [second.id], { signal: noSignal }),
  );
  expect(shown).toEqual([first.id]);
  expect(left).toEqual([first.id]);
});
