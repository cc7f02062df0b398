// A repository of a simulated history together with what must be in it: the truth that its disk is compared with.
import type { Random } from '../../src/base/random.ts';
import { readBlob, type IndexedRepository } from '../../src/repository/blob-reader.ts';
import type { SnapshotId } from '../../src/repository/ids.ts';
import { loadIndex } from '../../src/repository/load-index.ts';
import { initRepository, openRepository } from '../../src/repository/open-repository.ts';
import { prune } from '../../src/repository/prune-execute.ts';
import type { Repository } from '../../src/repository/repository.ts';
import { loadSnapshots, type StoredSnapshot } from '../../src/repository/snapshot.ts';
import { verifyRepository } from '../../src/repository/verify.ts';
import { walkTree } from '../../src/repository/walk.ts';
import type { Workers } from '../../src/repository/worker-pool.ts';
import { memoryStore, type MemoryStore } from '../../src/storage/memory/store.ts';
import type { Files } from '../support/generated-source.ts';
import { inlineWorkers } from '../support/inline-workers.ts';
import { simulatedHost, type HostOptions, type SimulatedClock, type SimulatedHost } from './simulated-host.ts';

const password = 'geheim';
const never = new AbortController().signal;

/** Something that must never happen. */
export class Violation extends Error {
  override readonly name = 'Violation';
}

export interface Expected {
  readonly files: Files;
  /** `maybe` while an operation that adds or removes it is under way or has failed. */
  state: 'sure' | 'maybe' | 'gone';
}

export class SimulatedRepository {
  readonly #disk: MemoryStore;
  readonly #base: Repository;
  readonly name: string;
  readonly workers: Workers;
  /** By the number that each backup carries as a tag, through retagging and copying. */
  readonly expected = new Map<number, Expected>();

  private constructor(name: string, disk: MemoryStore, base: Repository) {
    this.name = name;
    this.#disk = disk;
    this.#base = base;
    this.workers = inlineWorkers(base);
  }

  static async create(name: string, clock: SimulatedClock, random: Random): Promise<SimulatedRepository> {
    const disk = memoryStore();
    const base = await initRepository(disk, {
      password,
      signal: never,
      clock,
      random,
      chunkerDefault: 'gear',
      scryptCost: { N: 2, r: 1, p: 1 },
      lockSettings: { hostName: 'observer', settleMs: 0 },
    });
    return new SimulatedRepository(name, disk, base);
  }

  /** A new process. */
  host(options: HostOptions): SimulatedHost {
    return simulatedHost(this.#disk, options);
  }

  async open({ store }: SimulatedHost, options: HostOptions & { readonly hostName: string }): Promise<Repository> {
    const { clock, random, hostName, patience } = options;
    return openRepository(store, {
      password,
      signal: patience.signal,
      clock,
      random,
      lockSettings: { hostName, settleMs: 0, closingMaxMs: 50 },
    });
  }

  /** Without faults and without locks in the way. */
  get onDisk(): Repository {
    return this.#base;
  }

  async list(): Promise<StoredSnapshot[]> {
    return loadSnapshots(this.#base, never);
  }

  /** The snapshots of a backup: more than one if a retagging was cut short. */
  async idsOf(numbers: ReadonlySet<number>): Promise<SnapshotId[]> {
    return (await this.list()).filter((snapshot) => numbers.has(numberOf(snapshot))).map(({ id }) => id);
  }

  /** What a machine that comes later would find: all files but the locks of the dead. */
  async #aftermath(): Promise<Repository> {
    const store = this.#disk.clone();
    for await (const { name } of store.list('locks/')) await store.remove(name);
    return { ...this.#base, store };
  }

  /** Compares the disk with what is expected; afterwards nothing is `maybe`. */
  async settle(): Promise<void> {
    const aftermath = await this.#aftermath();
    const present = new Set((await loadSnapshots(aftermath, never)).map(numberOf));
    for (const [number, expected] of this.expected) {
      const isThere = present.has(number);
      if (expected.state === 'sure' && !isThere) throw new Violation(`${this.name}: backup ${number} is lost`);
      if (expected.state === 'gone' && isThere) throw new Violation(`${this.name}: backup ${number} came back`);
      expected.state = isThere ? 'sure' : 'gone';
    }
    await this.#verify(aftermath, 'structure');
  }

  /** Reads every byte, restores every snapshot, and sees whether a prune leaves nothing behind. */
  async finish(): Promise<number> {
    const aftermath = await this.#aftermath();
    await this.#verify(aftermath, 'data');
    await this.#restoreAll(aftermath);
    const request = { maxUnused: { bytes: 0 }, packTargetBytes: 8192, pool: this.workers, signal: never };
    await prune(aftermath, request);
    const after = await prune(aftermath, { ...request, isDryRun: true });
    if (after.bytes.unused > 0 || after.removeUnindexed.length > 0 || after.remove.length > 0)
      throw new Violation(`${this.name}: a prune left garbage: ${JSON.stringify(after.bytes)}`);
    await this.#verify(aftermath, 'data');
    return this.#restoreAll(aftermath);
  }

  async #verify(repository: Repository, level: 'structure' | 'data'): Promise<void> {
    const { findings, errors } = await verifyRepository(repository, { level, pool: this.workers, signal: never });
    const [first] = findings.filter(({ severity }) => severity === 'error');
    if (first !== undefined) throw new Violation(`${this.name}: ${errors} errors: ${first.where}: ${first.message}`);
  }

  async #restoreAll(repository: Repository): Promise<number> {
    const snapshots = await loadSnapshots(repository, never);
    const indexed = { repository, index: await loadIndex(repository, never) };
    for (const snapshot of snapshots) {
      const expected = this.expected.get(numberOf(snapshot));
      if (expected === undefined) throw new Violation(`${this.name}: snapshot ${snapshot.id} was never made`);
      await compare(indexed, snapshot, expected.files);
    }
    return snapshots.length;
  }
}

export function numberOf({ tags }: StoredSnapshot): number {
  return Number(tags.find((tag) => tag.startsWith('number='))?.slice('number='.length));
}

async function compare(indexed: IndexedRepository, snapshot: StoredSnapshot, files: Files): Promise<void> {
  const found = new Set<string>();
  for await (const { path, node } of walkTree(indexed, snapshot.tree, { signal: never })) {
    if (node.type !== 'file') continue;
    found.add(path);
    const blobs = (node.content ?? []).map((id) => readBlob(indexed, { type: 'data', id }, never));
    const bytes = Buffer.concat(await Promise.all(blobs));
    if (files.get(path)?.equals(bytes) !== true)
      throw new Violation(`${path} of backup ${numberOf(snapshot)} came back with other bytes`);
  }
  if (found.size !== files.size)
    throw new Violation(`backup ${numberOf(snapshot)} has ${found.size} files instead of ${files.size}`);
}
