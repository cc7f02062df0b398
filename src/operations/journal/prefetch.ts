// Keeps a folder filled with the segments that a replay asks for next, so that it never waits for a repository it could have
// read before. Whoever replays asks by name, through a small script (prefetch-shim.ts) that needs no repository and no secret.
//
// In the folder: `<name>` with `<name>.ready` once it is whole, `<name>.wanted` from who waits for it, `<name>.absent` if a
// listing that succeeded said that there is no such, and a heartbeat, since silence must not be taken for an answer.
import assert from 'node:assert/strict';
import { chown, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { returnLargeMemory } from '../../base/large-memory.ts';
import { asError } from '../../base/errors.ts';
import { freeMemory } from '../../base/free-memory.ts';
import type { Random } from '../../base/random.ts';
import type { JournalReader } from '../../sources/journal.ts';
import { writeAtomically } from '../../storage/atomic-write.ts';
import type { Sleep } from '../../storage/interruption.ts';

export type PrefetchContent =
  /** `sizeBytes`: of the file, filled up with zeros if less is kept. */
  | { readonly kind: 'segment'; readonly lineage: string; readonly segment: number; readonly sizeBytes: number }
  | { readonly kind: 'bytes'; readonly bytes: Uint8Array };

export interface PrefetchItem {
  /** As it will be asked for. */
  readonly name: string;
  readonly content: PrefetchContent;
}

export interface PrefetchOptions {
  /** Ours alone, there already, open to whoever replays. */
  readonly folder: string;
  readonly reader: JournalReader;
  /** What will be asked for, in this order. */
  readonly plan: readonly PrefetchItem[];
  /** For a name that is not in the plan. Undefined only after a listing that succeeded said that there is no such. */
  readonly find: (name: string, signal: AbortSignal) => Promise<PrefetchContent | undefined>;
  /** Who replays, if that is another account. */
  readonly owner?: { readonly uid: number; readonly gid: number } | undefined;
  readonly aheadMax?: number | undefined;
  readonly aheadMaxBytes?: number | undefined;
  /** Told of each failure; it is tried again. */
  readonly onFailure: (name: string, error: Error) => void;
  readonly random: Random;
  readonly sleep: Sleep;
}

export interface Prefetcher extends AsyncDisposable {
  /** Aborts if it can't go on: a fault of the program, or of the folder's disk. */
  readonly signal: AbortSignal;
}

export const heartbeatFile = 'heartbeat';
const aheadDefault = 32;
const aheadDefaultBytes = 512 * 1024 * 1024;
/** Each holds a segment, sealed and opened. */
const readsAtOnce = 2;
const lookEveryMs = 50;
const beatEveryMs = 500;
const retryFirstMs = 200;
const retryMaxMs = 10_000;

export async function startPrefetcher(options: PrefetchOptions): Promise<Prefetcher> {
  returnLargeMemory();
  const prefetch = new FolderPrefetch(options);
  await prefetch.beat();
  return prefetch;
}

class FolderPrefetch implements Prefetcher {
  readonly #options: PrefetchOptions;
  readonly #places: ReadonlyMap<string, number>;
  readonly #stop = new AbortController();
  readonly #failed = new AbortController();
  readonly #running: Promise<void>;
  /** Names that are being fetched, with what they will take. */
  readonly #underWay = new Map<string, number>();
  readonly #tasks = new Set<Promise<void>>();
  /** The first item of the plan that was not begun yet. */
  #next = 0;
  #beats = 0;
  /** Ended early by whatever makes room for the next. */
  #nap = new AbortController();

  constructor(options: PrefetchOptions) {
    this.#options = options;
    this.#places = new Map(options.plan.map(({ name }, at) => [name, at]));
    this.#running = Promise.all([this.#run(), this.#beatRegularly()]).then(() => undefined);
  }

  get signal(): AbortSignal {
    return this.#failed.signal;
  }

  async beat(): Promise<void> {
    this.#beats += 1;
    await writeFile(join(this.#options.folder, heartbeatFile), `${this.#beats}\n`, { mode: 0o644 });
  }

  async #beatRegularly(): Promise<void> {
    await this.#untilStopped(async (signal) => {
      await this.#options.sleep(beatEveryMs, signal);
      await this.beat();
    });
  }

  async #run(): Promise<void> {
    await this.#untilStopped(async (signal) => {
      const nap = new AbortController();
      this.#nap = nap;
      const names = new Set(await readdir(this.#options.folder));
      await this.#answer(names);
      this.#fetchAhead(names);
      await this.#options.sleep(lookEveryMs, AbortSignal.any([signal, nap.signal])).catch((error: unknown) => {
        if (!nap.signal.aborted) throw asError(error);
      });
    });
  }

  async #untilStopped(work: (signal: AbortSignal) => Promise<void>): Promise<void> {
    const { signal } = this.#stop;
    try {
      while (!signal.aborted) await work(signal);
    } catch (error) {
      if (!signal.aborted) this.#fail(error);
    }
  }

  #fail(error: unknown): void {
    this.#failed.abort(asError(error));
    this.#stop.abort(asError(error));
  }

  /** What somebody waits for comes first, whatever was fetched ahead. */
  async #answer(names: ReadonlySet<string>): Promise<void> {
    for (const request of names) {
      if (!request.endsWith('.wanted')) continue;
      const name = request.slice(0, -'.wanted'.length);
      const place = this.#places.get(name);
      if (place !== undefined) await this.#moveTo(place, names);
      if (names.has(`${name}.ready`) || names.has(`${name}.absent`) || this.#underWay.has(name)) continue;
      this.#begin(name, place === undefined ? undefined : this.#options.plan[place]?.content);
    }
  }

  /** The replay is here: what comes before is not asked for any more. */
  async #moveTo(place: number, names: ReadonlySet<string>): Promise<void> {
    this.#next = Math.max(this.#next, place + 1);
    for (const name of names) {
      const before = this.#places.get(name);
      if (before !== undefined && before < place && names.has(`${name}.ready`)) await this.#remove(name);
    }
  }

  #fetchAhead(names: ReadonlySet<string>): void {
    const { plan, aheadMax = aheadDefault, aheadMaxBytes = aheadDefaultBytes } = this.#options;
    for (; this.#next < plan.length && this.#underWay.size < readsAtOnce; this.#next += 1) {
      const item = plan[this.#next];
      assert.ok(item);
      const ready = [...names].filter((name) => names.has(`${name}.ready`));
      const readyBytes = ready.reduce((sum, name) => sum + this.#sizeOf(name), 0);
      const comingBytes = [...this.#underWay.values()].reduce((sum, sizeBytes) => sum + sizeBytes, 0);
      const count = ready.length + this.#underWay.size;
      const sizeBytes = readyBytes + comingBytes + this.#sizeOf(item.name);
      if (count >= aheadMax || (count > 0 && sizeBytes > aheadMaxBytes)) return;
      if (!names.has(`${item.name}.ready`) && !this.#underWay.has(item.name)) this.#begin(item.name, item.content);
    }
  }

  #sizeOf(name: string): number {
    const content = this.#options.plan[this.#places.get(name) ?? -1]?.content;
    if (content === undefined) return 0;
    return content.kind === 'segment' ? content.sizeBytes : content.bytes.length;
  }

  #begin(name: string, content: PrefetchContent | undefined): void {
    this.#underWay.set(name, this.#sizeOf(name));
    const task = this.#fetch(name, content)
      .catch((error: unknown) => {
        if (!this.#stop.signal.aborted) this.#fail(error);
      })
      .finally(() => {
        this.#underWay.delete(name);
        this.#tasks.delete(task);
        this.#nap.abort();
      });
    this.#tasks.add(task);
  }

  /** A failure is no answer: it is tried again until it succeeds, and who waits gives up after a while. */
  async #fetch(name: string, given: PrefetchContent | undefined): Promise<void> {
    const { find, onFailure, random, sleep } = this.#options;
    const { signal } = this.#stop;
    for (let attempt = 1; ; attempt += 1) {
      try {
        const content = given ?? (await find(name, signal));
        const parts = content && (await this.#read(content, signal));
        await this.#put(name, parts);
        if (content?.kind === 'segment') parts?.forEach(freeMemory);
        return;
      } catch (error) {
        if (signal.aborted) return;
        onFailure(name, asError(error));
        await sleep(random() * Math.min(retryMaxMs, retryFirstMs * 2 ** (attempt - 1)), signal);
      }
    }
  }

  async #read(content: PrefetchContent, signal: AbortSignal): Promise<readonly Uint8Array[]> {
    if (content.kind === 'bytes') return [content.bytes];
    const { lineage, segment, sizeBytes } = content;
    const bytes = await this.#options.reader.read(lineage, segment, signal);
    assert.ok(bytes.length <= sizeBytes, `segment ${segment} of ${lineage} fits its file`);
    return bytes.length === sizeBytes ? [bytes] : [bytes, Buffer.alloc(sizeBytes - bytes.length)];
  }

  async #put(name: string, parts: readonly Uint8Array[] | undefined): Promise<void> {
    const { folder, owner, random } = this.#options;
    const path = join(folder, name);
    const mark = parts === undefined ? `${path}.absent` : `${path}.ready`;
    // Nothing here outlives a power cut: the restore begins anew then.
    const write = { fileMode: 0o600, isDurable: false, random };
    if (parts !== undefined) {
      await writeAtomically(path, parts, write);
      if (owner !== undefined) await chown(path, owner.uid, owner.gid);
    }
    await writeAtomically(mark, [], write);
    await rm(`${path}.wanted`, { force: true });
  }

  async #remove(name: string): Promise<void> {
    const path = join(this.#options.folder, name);
    await rm(`${path}.ready`, { force: true });
    await rm(path, { force: true });
  }

  /** Whoever still waits sees the heartbeat stop. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort(new Error('the prefetcher is closed'));
    await this.#running;
    await Promise.all(this.#tasks);
    for (const name of await readdir(this.#options.folder)) {
      if (name.endsWith('.ready')) await this.#remove(name.slice(0, -'.ready'.length));
      else if (name.endsWith('.absent')) await rm(join(this.#options.folder, name), { force: true });
    }
    await rm(join(this.#options.folder, heartbeatFile), { force: true });
  }
}
