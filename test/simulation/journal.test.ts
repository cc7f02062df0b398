// Histories of a journal: receivers come one after another or two at a time, their stores fail, and each dies at any call.
// After every death: what was acknowledged is there, no read gives other bytes, and a verification finds nothing wrong.
import { expect, test } from 'vitest';
import { isAppError } from '../../src/base/errors.ts';
import { seededRandom, type Random } from '../../src/base/random.ts';
import { copyJournals } from '../../src/repository/journal/copy.ts';
import { acquireJournalLease } from '../../src/repository/journal/lease.ts';
import { listJournal } from '../../src/repository/journal/listing.ts';
import { comparePlaces, type JournalPlace } from '../../src/repository/journal/place.ts';
import { readSegment } from '../../src/repository/journal/read.ts';
import { decideJournalTrim, executeJournalTrim } from '../../src/repository/journal/trim.ts';
import { verifyJournals } from '../../src/repository/journal/verify.ts';
import { FrameSealer } from '../../src/repository/journal/frame-sealer.ts';
import { openJournal, type JournalWriter } from '../../src/repository/journal/writer.ts';
import { acquireLock } from '../../src/repository/lock.ts';
import type { Repository } from '../../src/repository/repository.ts';
import { VerifyFindings } from '../../src/repository/verify-findings.ts';
import { faultyStore, type FaultyStore } from '../../src/storage/faulty.ts';
import type { MemoryStore } from '../../src/storage/memory/store.ts';
import { freshSeed } from '../support/fresh-seed.ts';
import { segmentContent, sourceOf } from '../support/journal.ts';
import { noSignal } from '../support/repository.ts';
import { sampleRepository, type SampleRepository } from '../support/sample-repository.ts';

const histories = 40;
/** On a busy machine fewer histories are run rather than the others kept waiting. */
const budgetMs = 12_000;
const branch = { lineage: 'simulated/1', segmentBytes: 300, about: { kind: 'simulated' } };
const contentOf = (segment: number): Buffer => segmentContent(segment, branch.segmentBytes);

interface World {
  readonly random: Random;
  readonly sample: SampleRepository;
  /** Up to here everything was acknowledged. */
  acknowledged: JournalPlace;
  /** Before it everything may be gone. */
  floor: number;
  readonly counts: Counts;
}

interface Counts {
  crashes: number;
  failures: number;
  parts: number;
  sealed: number;
  consolidated: number;
  trimmed: number;
}

/** One life of a receiver: resumes, then ships until it dies or is done. */
async function receive(world: World, repository: Repository): Promise<void> {
  const { random, counts } = world;
  const options = { family: 'simulated', takesOver: true, signal: noSignal };
  const lease = await patiently(world, () => acquireJournalLease(repository, options));
  const { epoch, writer: id } = lease;
  await using sealer = new FrameSealer(repository);
  const opening = { branch, epoch, writer: id, sealer, signal: noSignal };
  const writer = await patiently(world, () => openJournal(repository, opening));
  // Of an earlier life a full segment may be left that nobody sealed; a shipper knows it from its spool.
  for (const { segment, isSealed, to } of writer.opened.stretches)
    if (!isSealed && to === branch.segmentBytes) await seal(world, writer, segment);
  const steps = 3 + Math.floor(random() * 12);
  for (let step = 0; step < steps; step += 1) {
    const { segment, offset } = writer.end ?? { segment: world.acknowledged.segment, offset: 0 };
    const choice = random();
    if (offset === branch.segmentBytes || (offset > 0 && choice < 0.1)) await seal(world, writer, segment);
    else if (offset > 0 && choice < 0.25) await consolidate(world, writer, { segment, offset });
    else if (choice < 0.3) await patiently(world, () => lease.refresh(noSignal));
    else {
      const to = Math.min(branch.segmentBytes, offset + 1 + Math.floor(random() * 150));
      const part = { segment, offset, bytes: contentOf(segment).subarray(offset, to), facts: { to } };
      await patiently(world, () => writer.putPart(part, noSignal));
      acknowledge(world, { segment, offset: to });
      counts.parts += 1;
    }
  }
  await lease[Symbol.asyncDispose]();
}

function acknowledge(world: World, place: JournalPlace): void {
  if (comparePlaces(place, world.acknowledged) > 0) world.acknowledged = place;
}

async function seal(world: World, writer: JournalWriter, segment: number): Promise<void> {
  await patiently(world, () => writer.sealSegment(sourceOf(segment, contentOf(segment)), noSignal));
  acknowledge(world, { segment: segment + 1, offset: 0 });
  world.counts.sealed += 1;
}

async function consolidate(world: World, writer: JournalWriter, { segment, offset }: JournalPlace): Promise<void> {
  const source = sourceOf(segment, contentOf(segment).subarray(0, offset), { facts: { to: offset } });
  await patiently(world, () => writer.consolidate(source, noSignal));
  world.counts.consolidated += 1;
}

/** As a shipper: what fails for a reason that passes is tried again, the very same call. */
async function patiently<Result>(world: World, work: () => Promise<Result>): Promise<Result> {
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (!isAppError(error, 'STORE_UNREACHABLE', 'STORE_FAILED')) throw error;
      world.counts.failures += 1;
    }
  }
}

function hostOn(world: World, store: MemoryStore): { store: FaultyStore; repository: Repository } {
  const { random, sample } = world;
  const chance = random() < 0.4 ? 0 : random() * 0.1;
  const faulty = faultyStore(store, {
    random,
    chances: { refused: chance, torn: chance, answerLost: chance },
    callsBeforeCrash: Math.floor(random() ** 1.5 * 120),
  });
  return { store: faulty, repository: { ...sample.repository, store: faulty } };
}

/** Runs something to its end, which may be its death. Rejects with what must not happen. */
async function live(world: World, run: (repository: Repository) => Promise<void>): Promise<void> {
  const { store, repository } = hostOn(world, world.sample.store);
  try {
    await run(repository);
  } catch (error) {
    if (store.fired.some(({ kind }) => kind === 'crash')) world.counts.crashes += 1;
    else if (!isAppError(error, 'JOURNAL_FENCED', 'STORE_UNREACHABLE', 'STORE_FAILED', 'REPOSITORY_LOCKED'))
      throw error;
  }
}

async function trim(world: World, repository: Repository): Promise<void> {
  await using lock = await acquireLock(repository, { isExclusive: true, signal: noSignal });
  const floor = { segment: world.acknowledged.segment - Math.floor(world.random() * 3), offset: 0 };
  world.floor = Math.max(world.floor, floor.segment);
  const listing = await listJournal(repository, branch, noSignal);
  const decision = decideJournalTrim([listing], new Map([[branch.lineage, floor]]));
  await executeJournalTrim(repository, decision, { lock, signal: noSignal });
  world.counts.trimmed += decision.segments.length;
}

async function expectSound(repository: Repository, { acknowledged, floor }: World): Promise<void> {
  const findings = new VerifyFindings();
  await verifyJournals(repository, { level: 'data', findings, signal: noSignal, onObject: () => undefined });
  expect(findings.list.filter(({ severity }) => severity === 'error')).toEqual([]);
  const listing = await listJournal(repository, branch, noSignal);
  let reached: JournalPlace | undefined;
  for (const { segment } of listing.stretches) {
    const { bytes, isComplete, problems } = await readSegment(repository, listing, { segment, signal: noSignal });
    expect({ isComplete, problems }).toEqual({ isComplete: true, problems: [] });
    expect(bytes.equals(contentOf(segment).subarray(0, bytes.length))).toBe(true);
    reached = { segment, offset: bytes.length };
  }
  expect(listing.stretches[0]?.segment ?? 0).toBeLessThanOrEqual(Math.max(floor, 0));
  const end = reached?.offset === branch.segmentBytes ? { segment: reached.segment + 1, offset: 0 } : reached;
  if (comparePlaces(acknowledged, { segment: 0, offset: 0 }) > 0)
    expect(comparePlaces(end ?? { segment: 0, offset: 0 }, acknowledged)).toBeGreaterThanOrEqual(0);
}

async function runHistory(seed: number, counts: Counts): Promise<void> {
  const random = seededRandom(seed);
  const sample = await sampleRepository();
  const world: World = { random, sample, acknowledged: { segment: 0, offset: 0 }, floor: 0, counts };
  for (let step = 0; step < 6; step += 1) {
    const runs = [live(world, (repository) => receive(world, repository))];
    if (random() < 0.3) runs.push(live(world, (repository) => receive(world, repository)));
    if (random() < 0.3) runs.push(live(world, (repository) => trim(world, repository)));
    await Promise.all(runs);
    for await (const { name } of sample.store.list('locks/')) await sample.store.remove(name);
    // What broke off in the middle of a write lies under names that no listing of a real store shows.
    for await (const { name } of sample.store.list('')) if (name.includes('-tmp-')) await sample.store.remove(name);
    await expectSound(sample.repository, world);
  }
  const target = await sampleRepository();
  await copyJournals(sample.repository, target.repository, { signal: noSignal });
  await expectSound(target.repository, world);
}

test('whoever dies or fails: what was acknowledged of a journal is there, and no read gives anything else', async () => {
  const seed = freshSeed('histories of journals');
  const counts: Counts = { crashes: 0, failures: 0, parts: 0, sealed: 0, consolidated: 0, trimmed: 0 };
  const startedMs = performance.now();
  let run = 0;
  for (; run < histories && (run < 5 || performance.now() - startedMs < budgetMs); run += 1) {
    try {
      await runHistory(seed + run, counts);
    } catch (error) {
      throw new Error(`seed ${seed + run}`, { cause: error });
    }
  }
  process.stdout.write(`simulated ${run} histories of journals: ${JSON.stringify(counts)}\n`);
  for (const count of Object.values(counts)) expect(count).toBeGreaterThan(0);
}, 120_000);
