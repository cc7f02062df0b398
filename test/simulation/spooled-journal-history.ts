// A simulated life of a component's journal: a server that sends, a receiver that dies, repositories that are slow, away or lose
// answers, disks that vanish. What the server was told that it may forget must be found, and every hole must be told.
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf } from '../../src/base/errors.ts';
import { seededRandom, type Random } from '../../src/base/random.ts';
import { comparePositions, formatPosition, laterOf } from '../../src/operations/journal/positions.ts';
import { readJournals } from '../../src/operations/journal/reader.ts';
import type { Acknowledge } from '../../src/operations/journal/sink.ts';
import { SpooledJournal } from '../../src/operations/journal/spooled-journal.ts';
import { listJournal, startOf, type JournalListing } from '../../src/repository/journal/listing.ts';
import type { Repository } from '../../src/repository/repository.ts';
import type { JournalBranch, JournalPosition, JournalSink } from '../../src/sources/journal.ts';
import { systemSleep } from '../../src/storage/interruption.ts';
import { journalOptions, memoryRepository, spoolAtDeath } from '../support/journal-scene.ts';
import { noSignal } from '../support/repository.ts';
import { fair, weatherStore, type Weather } from '../support/weather-store.ts';

export interface JournalCounts {
  appendedBytes: number;
  deaths: number;
  lostSpools: number;
  gaps: number;
  outages: number;
  fullSpools: number;
  switches: number;
  checkedBytes: number;
}

export const noJournalCounts = (): JournalCounts => ({
  appendedBytes: 0,
  deaths: 0,
  lostSpools: 0,
  gaps: 0,
  outages: 0,
  fullSpools: 0,
  switches: 0,
  checkedBytes: 0,
});

const segmentBytes = 700;
const spoolMaxBytes = 6 * segmentBytes;
/** Records behind the segments come on top of the limit. */
const spoolSlackBytes = 60_000;

interface Place {
  /** As it is, whatever the weather. */
  readonly repository: Repository;
  readonly weather: Weather;
}

/** The server's side: what it sent, and from where on it still has it. */
interface Server {
  number: number;
  /** Where its journal began on this branch. */
  start: JournalPosition;
  end: JournalPosition;
  /** Up to here it was told that it may forget. */
  told: JournalPosition | undefined;
  /** What was before is gone, told or not. */
  oldest: JournalPosition;
  /** Up to here the spool of the moment must have it. */
  spooled: JournalPosition | undefined;
  /** A spool went with what only it had: the repositories may begin later, and end where this branch was left. */
  wasLost: boolean;
}

class World {
  /** Decides what happens. */
  readonly random: Random;
  /** Decides what fails, in an order that no seed can repeat. */
  readonly chance: Random;
  readonly counts = noJournalCounts();
  readonly folder: string;
  readonly acknowledge: Acknowledge;
  readonly places: Place[] = [];
  /** Branches that ended, and the one that goes on. */
  readonly servers: Server[] = [];
  /** What happened, for whoever looks for the fault. */
  readonly steps: string[] = [];
  spools = 0;
  spool: string;
  journal: SpooledJournal | undefined;
  sink: JournalSink | undefined;

  constructor(seed: number, folder: string) {
    this.random = seededRandom(seed);
    this.chance = seededRandom(seed + 1);
    this.folder = folder;
    this.spool = join(folder, 'spool-0');
    this.acknowledge = this.random() < 0.5 ? 'spool' : 'repository';
  }

  get server(): Server {
    const server = this.servers.at(-1);
    if (server === undefined) throw new Error('there is no server yet');
    return server;
  }

  pick(max: number): number {
    return Math.floor(this.random() * max);
  }
}

/** Rejects with an error that names the seed. */
export async function runJournalHistory(seed: number, folder: string): Promise<JournalCounts> {
  const world = new World(seed, folder);
  try {
    await live(world);
  } catch (error) {
    throw new Error(`seed ${seed}: ${messageOf(error)}\n${world.steps.join('\n')}`, { cause: error });
  } finally {
    await world.journal?.[Symbol.asyncDispose]();
    await rm(folder, { recursive: true, force: true });
  }
  return world.counts;
}

async function live(world: World): Promise<void> {
  const repositories = 1 + world.pick(2);
  for (let number = 0; number < repositories; number += 1)
    world.places.push({ repository: await memoryRepository(), weather: fair() });
  world.servers.push(newServer(1, world.pick(3)));
  await start(world);
  const steps = 20 + world.pick(40);
  for (let step = 0; step < steps; step += 1) await takeStep(world);
  calm(world);
  await world.sink?.sync(noSignal);
  await world.journal?.flush(noSignal);
  await checkRepositories(world);
}

const newServer = (number: number, segment: number): Server => ({
  number,
  start: { segment, offset: 0 },
  end: { segment, offset: 0 },
  told: undefined,
  oldest: { segment, offset: 0 },
  spooled: undefined,
  wasLost: false,
});

type Step = (world: World) => Promise<void>;

/** With how often each comes. */
const steps: readonly (readonly [number, Step])[] = [
  [45, send],
  [20, sync],
  [10, changeWeather],
  [8, die],
  [5, pause],
  [3, switchBranch],
  [3, skip],
  [3, checkTold],
  [3, loseSpool],
];

async function takeStep(world: World): Promise<void> {
  let draw = world.pick(steps.reduce((sum, [weight]) => sum + weight, 0));
  const chosen = steps.find(([weight]) => (draw -= weight) < 0);
  const [, step] = chosen ?? [0, pause];
  world.steps.push(`${step.name} with ${world.acknowledge}: ${describeServer(world.server)}`);
  await step(world);
}

function pause(world: World): Promise<void> {
  return systemSleep(world.pick(8));
}

function describeServer({ number, end, told }: Server): string {
  const position = (at: JournalPosition | undefined) => (at === undefined ? 'none' : formatPosition(at));
  return `branch ${number} sent ${position(end)}, told ${position(told)}`;
}

function branchOf({ number }: Server): JournalBranch {
  return { lineage: `simulated/${number}`, segmentBytes, about: { number } };
}

/** The same bytes for the same place each time. */
function bytesAt({ number }: Server, { segment, offset }: JournalPosition, lengthBytes: number): Buffer {
  const bytes = Buffer.alloc(lengthBytes);
  for (let at = 0; at < lengthBytes; at += 1)
    bytes[at] = (number * 31 + segment * 17 + (offset + at) * 7 + ((offset + at) >> 5)) & 0xff;
  return bytes;
}

async function start(world: World): Promise<void> {
  const { places, spool, acknowledge, chance } = world;
  const repositories = places.map(({ repository, weather }) => ({
    ...repository,
    store: weatherStore(repository.store, weather, chance),
  }));
  world.journal = await SpooledJournal.open(
    journalOptions(spool, repositories, {
      acknowledge,
      random: chance,
      spool: { folder: spool, maxBytes: spoolMaxBytes },
      intervalMs: 1 + world.pick(10),
      lookMaxMs: 10_000,
      sleep: (delayMs, signal) => systemSleep(Math.min(delayMs, 3), signal),
    }),
  );
  await openBranch(world);
}

/** As a source does: goes on where the journal ends, or says what it can't have any more. */
async function openBranch(world: World): Promise<void> {
  const { server, journal } = world;
  if (journal === undefined) return;
  const opened = journal.open(branchOf(server), noSignal);
  // A spool that knows nothing waits for a repository.
  const isStuck = await Promise.race([opened.then(() => false), systemSleep(300).then(() => true)]);
  if (isStuck) calm(world);
  const sink = await opened;
  world.sink = sink;
  const resumed = sink.resumeAt();
  const kept = { segment: server.told?.segment ?? server.start.segment, offset: 0 };
  const oldest = laterOf(kept, server.oldest) ?? kept;
  const isMissing = resumed !== undefined && comparePositions(resumed, oldest) < 0;
  if (isMissing) {
    world.counts.gaps += 1;
    await sink.gap({ from: resumed, to: oldest, reason: 'the server forgot it' }, noSignal);
  }
  world.steps.push(
    `resumed at ${resumed && formatPosition(resumed)}, the server has it from ${formatPosition(oldest)}`,
  );
  const from = isMissing || resumed === undefined ? oldest : { segment: resumed.segment, offset: 0 };
  if (comparePositions(from, server.end) < 0) await sendRange(world, from, server.end);
}

/** Bytes up to `to`, from the start of a segment or where it ended, in pieces of any size. */
async function sendRange(world: World, from: JournalPosition, to: JournalPosition): Promise<void> {
  let at = from;
  while (comparePositions(at, to) < 0) {
    const rest = (at.segment === to.segment ? to.offset : segmentBytes) - at.offset;
    const lengthBytes = Math.min(rest, 1 + world.pick(segmentBytes));
    await append(world, at, lengthBytes);
    at = { segment: at.segment, offset: at.offset + lengthBytes };
    if (at.offset < segmentBytes) continue;
    await world.sink?.seal(at.segment, { sealed: at.segment }, noSignal);
    at = { segment: at.segment + 1, offset: 0 };
  }
}

async function append(world: World, at: JournalPosition, lengthBytes: number): Promise<void> {
  const { sink, journal, server, counts } = world;
  if (sink === undefined || journal === undefined) return;
  counts.appendedBytes += lengthBytes;
  const appended = sink.append(at, bytesAt(server, at, lengthBytes), noSignal);
  appended.catch(() => undefined); // Awaited below.
  while (!(await Promise.race([appended.then(() => true), systemSleep(40).then(() => false)]))) {
    const { usedBytes, waitsFor } = journal.status().spool;
    if (waitsFor !== 'limit' || usedBytes + lengthBytes <= spoolMaxBytes) continue;
    counts.fullSpools += 1;
    calm(world);
  }
  await appended;
  const { usedBytes } = journal.status().spool;
  if (usedBytes > spoolMaxBytes + spoolSlackBytes) throw new Error(`the spool holds ${usedBytes} bytes`);
}

async function send(world: World): Promise<void> {
  const { server } = world;
  const from = server.end;
  const total = from.segment * segmentBytes + from.offset + 1 + world.pick(2 * segmentBytes);
  server.end = { segment: Math.floor(total / segmentBytes), offset: total % segmentBytes };
  await sendRange(world, from, server.end);
}

async function sync(world: World): Promise<void> {
  const { server, sink } = world;
  if (world.random() < 0.5) sink?.describe(server.end.segment, { end: server.end.offset });
  const told = await sink?.sync(noSignal);
  if (told === undefined) return;
  if (comparePositions(told, server.end) > 0) throw new Error('more was acknowledged than was sent');
  server.told = laterOf(server.told, told);
  server.spooled = laterOf(server.spooled, told);
}

async function changeWeather(world: World): Promise<void> {
  const { places, random, counts } = world;
  const weather = places[world.pick(places.length)]?.weather;
  if (weather === undefined) return;
  weather.isDown = random() < 0.5;
  weather.delayMs = random() < 0.3 ? 4 : 0;
  weather.faultChance = random() < 0.5 ? random() * 0.3 : 0;
  if (weather.isDown) counts.outages += 1;
}

function calm({ places }: World): void {
  for (const { weather } of places) Object.assign(weather, fair());
}

/** kill -9, and the next receiver on the same machine. */
async function die(world: World): Promise<void> {
  world.counts.deaths += 1;
  const before = world.server.spooled;
  await endReceiver(world, () => {
    world.spool = spoolAtDeath(world.spool, join(world.folder, `spool-${(world.spools += 1)}`));
  });
  const { server } = world;
  // What the spool tells before anything comes again.
  const journal = await SpooledJournal.open(
    journalOptions(world.spool, [], { spool: { folder: world.spool, maxBytes: spoolMaxBytes }, ...oneDead(world) }),
  );
  const kept = journal.status().branches.find(({ lineage }) => lineage === branchOf(server).lineage);
  await journal[Symbol.asyncDispose]();
  if (before !== undefined && (kept === undefined || comparePositions(kept.end, before) < 0))
    throw new Error('the spool lost what was acknowledged');
  await start(world);
}

/** A journal needs a repository; this one never answers. */
const oneDead = ({ chance }: World) => ({
  random: chance,
  repositories: [{ name: 'dead', open: () => new Promise<never>(() => undefined) }],
});

async function endReceiver(world: World, atDeath: () => void): Promise<void> {
  const { journal } = world;
  atDeath();
  world.journal = undefined;
  world.sink = undefined;
  await journal?.[Symbol.asyncDispose]();
}

/** The machine is gone, with its spool; another takes over. */
async function loseSpool(world: World): Promise<void> {
  world.counts.lostSpools += 1;
  await checkTold(world);
  for (const server of world.servers) {
    server.spooled = undefined;
    server.wasLost = true;
  }
  await endReceiver(world, () => {
    world.spool = join(world.folder, `spool-${(world.spools += 1)}`);
  });
  await start(world);
}

async function switchBranch(world: World): Promise<void> {
  const { server, sink } = world;
  if (server.end.offset === 0 || sink === undefined) return;
  world.counts.switches += 1;
  await sink.seal(server.end.segment, { ended: true }, noSignal);
  await sink[Symbol.asyncDispose]();
  world.servers.push(newServer(server.number + 1, server.end.segment));
  await openBranch(world);
}

/** The server removed what was not received yet. */
async function skip(world: World): Promise<void> {
  const { server, sink } = world;
  if (sink === undefined || comparePositions(server.end, server.start) === 0) return;
  world.counts.gaps += 1;
  const to = { segment: server.end.segment + 1 + world.pick(3), offset: 0 };
  await sink.gap({ from: server.end, to, reason: 'the server removed it' }, noSignal);
  server.end = to;
  server.oldest = to;
  server.spooled = to;
}

/** Acknowledged by the repositories: each of them has it, without the spool. */
async function checkTold(world: World): Promise<void> {
  if (world.acknowledge === 'spool') return;
  for (const server of world.servers) {
    const { told } = server;
    if (told === undefined) continue;
    for (const place of world.places) await checkBytes(world, { server, place, upTo: told });
  }
}

async function checkRepositories(world: World): Promise<void> {
  for (const server of world.servers) {
    const { start: from, end, told, wasLost } = server;
    // Nobody goes back to a branch that was left, so what only the lost spool had of it is lost.
    const isLeft = wasLost && server !== world.server;
    const upTo = isLeft ? world.acknowledge === 'repository' && told : end;
    if (upTo === false || upTo === undefined || comparePositions(from, upTo) >= 0) continue;
    for (const place of world.places) await checkBytes(world, { server, place, upTo });
  }
}

interface Check {
  readonly server: Server;
  readonly place: Place;
  readonly upTo: JournalPosition;
}

/** All bytes before `upTo` are there as they were sent, or in a hole that is recorded. */
async function checkBytes(world: World, { server, place, upTo }: Check): Promise<void> {
  const { repository } = place;
  const branch = branchOf(server);
  const listing = await listJournal(repository, branch, noSignal);
  const where = `of ${branch.lineage} in repository ${world.places.indexOf(place) + 1}; ${describeListing(listing)}`;
  const silent = listing.holes.find(({ isRecorded, from }) => !isRecorded && comparePositions(from, upTo) < 0);
  if (silent !== undefined) throw new Error(`a silent hole at ${formatPosition(silent.from)} ${where}`);
  const reader = readJournals(repository);
  const isSkipped = comparePositions(server.start, server.oldest) < 0;
  const isLate = server.wasLost && (world.acknowledge === 'spool' || isSkipped);
  const first = isLate ? (startOf(listing)?.segment ?? Infinity) : server.start.segment;
  for (let segment = first; segment <= upTo.segment; segment += 1) {
    const leastBytes = neededBytes(listing, segment, upTo);
    if (leastBytes === 0) continue;
    const bytes = await reader.read(branch.lineage, segment, noSignal);
    if (bytes.length < leastBytes)
      throw new Error(`${bytes.length} of ${leastBytes} bytes of segment ${segment} ${where}`);
    if (!bytes.equals(bytesAt(server, { segment, offset: 0 }, bytes.length)))
      throw new Error(`other bytes in segment ${segment} ${where}`);
    world.counts.checkedBytes += bytes.length;
  }
}

/** How many bytes of a segment must be there: those before a gap that begins in it, none where a gap covers it. */
function neededBytes({ gaps }: JournalListing, segment: number, upTo: JournalPosition): number {
  const covering = gaps.filter(({ from, to }) => from.segment <= segment && segment < to.segment);
  const beforeGaps = covering.map(({ from }) => (from.segment < segment ? 0 : from.offset));
  return Math.min(segment === upTo.segment ? upTo.offset : segmentBytes, ...beforeGaps);
}

function describeListing({ stretches, gaps }: JournalListing): string {
  const kept = stretches.map(({ segment, to, isSealed }) => `${segment}${isSealed ? '' : `(${to})`}`);
  const told = gaps.map(({ from, to }) => `${from.segment}:${from.offset}-${to.segment}:${to.offset}`);
  return `kept ${kept.join(' ')}, gaps ${told.join(' ')}`;
}
