import { beforeEach, expect, test } from 'vitest';
import { noSignal } from '../../../test/support/repository.ts';
import { namesIn, sampleRepository, type SampleRepository } from '../../../test/support/sample-repository.ts';
import type { Repository } from '../../repository/repository.ts';
import { claimGeneration, livenessOf, readSigns, writeSign } from './sign.ts';

let sample: SampleRepository;
let nowMs: number;
let repository: Repository;
const service = 'e525f900-29fc-407d-a84c-26cd986e183d';
const minuteMs = 60_000;

beforeEach(async () => {
  sample = await sampleRepository();
  nowMs = Date.parse('2026-11-28T10:00:00Z');
  repository = { ...sample.repository, clock: { now: () => nowMs } };
});

const sign = (generation: number, state: 'lives' | 'ended' = 'lives'): Promise<void> =>
  writeSign(repository, { service, generation, state }, noSignal);
const liveness = async () => livenessOf(await readSigns(repository, service, noSignal), nowMs);

test('a server lives until it was silent for a quarter of an hour, or said that it stopped', async () => {
  expect(await liveness()).toEqual({ seemsAlive: false, words: undefined });
  await sign(1);
  expect((await liveness()).seemsAlive).toBe(true);
  nowMs += 15 * minuteMs - 1;
  expect((await liveness()).seemsAlive).toBe(true);
  nowMs += 1;
  expect(await liveness()).toEqual({
    seemsAlive: false,
    words: expect.stringContaining('gave a sign 15m ago') as string,
  });
  await sign(1);
  nowMs -= minuteMs; // The other machine's clock is ahead of ours.
  expect((await liveness()).seemsAlive).toBe(true);
  nowMs += minuteMs;
  await sign(1, 'ended');
  expect(await liveness()).toEqual({ seemsAlive: false, words: expect.stringContaining('stopped') as string });
  expect(await namesIn(sample.store, 'notes/')).toHaveLength(1);
});

test('one that was replaced hears of it, whatever its clock says, and leaves the sign of the other one', async () => {
  await sign(1);
  await sign(2);
  nowMs += minuteMs;
  await expect(sign(1)).rejects.toMatchObject({ code: 'SERVICE_REPLACED' });
  await expect(sign(1, 'ended')).rejects.toMatchObject({ code: 'SERVICE_REPLACED' });
  expect(await readSigns(repository, service, noSignal)).toMatchObject([{ generation: 2 }]);
  await sign(2);
  // Another service of the same repository is none of its affair.
  await writeSign(repository, { service: 'another', generation: 9, state: 'lives' }, noSignal);
  await sign(2);
});

test('of several who recover the state at the same moment at most one goes on, and the old server stops', async () => {
  await sign(1);
  const claims = await Promise.allSettled(
    [1, 2, 3].map(() => claimGeneration(repository, { service, generation: 2 }, noSignal)),
  );
  const refused = claims.filter((claim) => claim.status === 'rejected');
  expect(refused.length).toBeGreaterThanOrEqual(2);
  for (const { reason } of refused) expect(reason).toMatchObject({ code: 'SERVICE_ALIVE' });
  await claimGeneration(repository, { service, generation: 3 }, noSignal);
  await expect(claimGeneration(repository, { service, generation: 3 }, noSignal)).rejects.toMatchObject({
    code: 'SERVICE_ALIVE',
  });
  await expect(sign(1)).rejects.toMatchObject({ code: 'SERVICE_REPLACED' });
  expect((await liveness()).seemsAlive).toBe(false);
  await sign(3);
  expect(await readSigns(repository, service, noSignal)).toMatchObject([{ generation: 3, state: 'lives' }]);
});
