// One branch in a spool: its segments as files, in order, and its gaps. What the files say counts, whatever was the last thing
// that happened before a crash: a seal, an append and a removal are each visible in one file alone.
import assert from 'node:assert/strict';
import { readdir, rename, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { Random } from '../../base/random.ts';
import type { JsonObject } from '../../base/json.ts';
import type { JournalBranch, JournalGap, JournalPosition } from '../../sources/journal.ts';
import { syncFolder } from '../../storage/atomic-write.ts';
import { readBranchFile, writeBranchFile, type BranchFile } from './branch-file.ts';
import type { AppError } from '../../base/errors.ts';
import { comparePositions, laterOf, startOfSegment } from './positions.ts';
import { SegmentFile, type SegmentReader } from './segment-file.ts';
import { spoolError } from './spool-errors.ts';
import type { SpoolRoom } from './spool-room.ts';

export interface SpooledSegment {
  readonly segment: number;
  /** Bytes that are durable. */
  readonly sizeBytes: number;
  readonly isSealed: boolean;
  readonly facts: JsonObject;
}

export interface BranchParts {
  readonly folder: string;
  readonly room: SpoolRoom;
  readonly random: Random;
}

export const branchFileName = 'branch.json';
const segmentSuffix = '.segment';
const damagedSuffix = '.damaged';
const digits = 16;

export class SpoolBranch implements AsyncDisposable {
  readonly branch: JournalBranch;
  readonly #parts: BranchParts;
  readonly #segments = new Map<number, SegmentFile>();
  /** The same, in order. */
  readonly #ordered: SegmentFile[] = [];
  #content: BranchFile;
  /** Of a segment that has no bytes yet. */
  #described: { readonly segment: number; readonly facts: JsonObject; readonly sizeBytes: number } | undefined;

  private constructor(content: BranchFile, parts: BranchParts) {
    const { lineage, segmentBytes, about } = content;
    this.branch = { lineage, segmentBytes, about };
    this.#content = content;
    this.#parts = parts;
  }

  /** The folder is there. */
  static async create(content: BranchFile, parts: BranchParts): Promise<SpoolBranch> {
    await writeBranchFile(join(parts.folder, branchFileName), content, parts.random);
    return new SpoolBranch(content, parts);
  }

  static async open(parts: BranchParts): Promise<SpoolBranch> {
    const branch = new SpoolBranch(await readBranchFile(join(parts.folder, branchFileName)), parts);
    const numbers = (await readdir(parts.folder)).flatMap((name) => segmentNumber(name) ?? []);
    for (const segment of numbers.toSorted((left, right) => left - right)) await branch.#openSegment(segment);
    return branch;
  }

  async #openSegment(segment: number): Promise<void> {
    const file = await SegmentFile.open(this.#place(segment));
    if (file.endBytes === 0 && !file.isSealed) {
      // Made, but nothing in it was made durable.
      await file[Symbol.asyncDispose]();
      await unlink(file.path);
      return;
    }
    this.#add(file);
    this.#parts.room.add(file.storedBytes);
  }

  #add(file: SegmentFile): void {
    this.#segments.set(file.segment, file);
    this.#ordered.push(file);
  }

  #drop(file: SegmentFile): void {
    this.#segments.delete(file.segment);
    this.#ordered.splice(this.#ordered.indexOf(file), 1);
    this.#parts.room.release(file.storedBytes);
  }

  #place(segment: number) {
    const path = join(this.#parts.folder, `${String(segment).padStart(digits, '0')}${segmentSuffix}`);
    return { path, segment, segmentBytes: this.branch.segmentBytes };
  }

  get openedAtMs(): number {
    return this.#content.openedAtMs;
  }

  get start(): JournalPosition | undefined {
    return this.#content.start;
  }

  /** Where the next byte goes; undefined if nothing came yet. */
  get end(): JournalPosition | undefined {
    const newest = this.#newest();
    return this.#after(newest, newest?.endBytes ?? 0);
  }

  get durableEnd(): JournalPosition | undefined {
    const newest = this.#newest();
    const before = newest?.durableBytes === 0 ? this.#after(this.#newest(1)) : undefined;
    return newest?.durableBytes === 0 ? before : this.#after(newest, newest?.durableBytes ?? 0);
  }

  get gaps(): readonly JournalGap[] {
    return this.#content.gaps;
  }

  /** Acknowledged bytes that the disk lost, found when the spool was opened. */
  get lostBytes(): number {
    return this.#ordered.reduce((sum, { lostBytes }) => sum + lostBytes, 0);
  }

  segments(): SpooledSegment[] {
    const all = this.#ordered.filter(({ durableBytes, isSealed }) => durableBytes > 0 || isSealed);
    return all.map(({ segment, durableBytes, isSealed, facts }) => {
      return { segment, sizeBytes: durableBytes, isSealed, facts };
    });
  }

  /** What is known of one segment, also of bytes that are not durable yet. */
  find(segment: number): { readonly endBytes: number; readonly isSealed: boolean } | undefined {
    return this.#segments.get(segment);
  }

  #newest(skip = 0): SegmentFile | undefined {
    return this.#ordered.at(-1 - skip);
  }

  #after(file: SegmentFile | undefined, endBytes = file?.endBytes ?? 0): JournalPosition | undefined {
    if (file === undefined) return this.#content.resume;
    const next = file.isSealed ? startOfSegment(file.segment + 1) : { segment: file.segment, offset: endBytes };
    return laterOf(next, this.#content.resume);
  }

  /** At the end, or at a segment's start if nothing came yet. Waits for room. */
  async append(position: JournalPosition, bytes: Uint8Array, signal: AbortSignal): Promise<void> {
    if (bytes.length === 0) return;
    const { room } = this.#parts;
    const file = await this.#fileFor(position, signal);
    assert.equal(position.offset, file.endBytes, 'it is appended at the end');
    await room.take(bytes.length, signal);
    try {
      await file.append(bytes, room, signal);
    } catch (error) {
      room.release(bytes.length);
      throw this.#error(error, `write segment ${position.segment}`);
    }
  }

  async #fileFor({ segment, offset }: JournalPosition, signal: AbortSignal): Promise<SegmentFile> {
    const found = this.#segments.get(segment);
    if (found !== undefined) return found;
    assert.equal(offset, 0, 'a segment begins at its start');
    const { folder } = this.#parts;
    return this.#onDisk(`make segment ${segment}`, signal, async () => {
      if (this.#content.start === undefined) await this.#write({ start: startOfSegment(segment) });
      const file = await SegmentFile.create(this.#place(segment));
      try {
        await syncFolder(folder);
      } catch (error) {
        await file[Symbol.asyncDispose]();
        throw error;
      }
      this.#add(file);
      if (this.#described?.segment === segment) file.describe(this.#described.facts, this.#described.sizeBytes);
      return file;
    });
  }

  /** What was appended before the call is durable when it resolves. May be called at any time. */
  async sync(signal: AbortSignal): Promise<JournalPosition | undefined> {
    const newest = this.#newest();
    if (newest !== undefined) await this.#try('sync', () => newest.sync(this.#parts.room, signal));
    return this.durableEnd;
  }

  /** The newest segment gets no more bytes. */
  async seal(segment: number, facts: JsonObject, signal: AbortSignal): Promise<void> {
    const file = this.#segments.get(segment);
    assert.ok(file, `segment ${segment} has bytes`);
    await this.#try(`seal segment ${segment}`, () => file.seal(facts, this.#parts.room, signal));
  }

  describe(segment: number, facts: JsonObject, sizeBytes = 0): void {
    const found = this.#segments.get(segment);
    if (found === undefined) this.#described = { segment, facts, sizeBytes };
    else found.describe(facts, sizeBytes);
  }

  async gap(gap: JournalGap, signal: AbortSignal): Promise<void> {
    await this.sync(signal);
    const gaps = [...this.#content.gaps, gap];
    const resume = laterOf(this.#content.resume, gap.to);
    await this.#onDisk('record a gap', signal, () => this.#write({ gaps, resume }));
  }

  /** Goes on from what a repository holds: later than all that is here. */
  async adopt(known: { readonly start: JournalPosition; readonly end: JournalPosition }, signal: AbortSignal) {
    const { end } = this;
    assert.ok(end === undefined || comparePositions(end, known.end) <= 0, 'it never goes back');
    const start = this.#content.start ?? known.start;
    const resume = laterOf(this.#content.resume, startOfSegment(known.end.segment));
    await this.#onDisk('record where to go on', signal, () => this.#write({ start, resume }));
  }

  reader(segment: number): Promise<SegmentReader> {
    const file = this.#segments.get(segment);
    assert.ok(file, `segment ${segment} is in the spool`);
    return file.reader();
  }

  /** Oldest first. The end of the journal is remembered where its newest segment goes. */
  async remove(segment: number): Promise<void> {
    const file = this.#segments.get(segment);
    assert.ok(file, `segment ${segment} is in the spool`);
    await this.#try(`remove segment ${segment}`, async () => {
      if (file === this.#newest()) await this.#write({ resume: this.end });
      await file[Symbol.asyncDispose]();
      await unlink(file.path);
    });
    this.#drop(file);
  }

  /** Its bytes are not what was written: put aside for people, and a gap for everybody else. */
  async condemn(segment: number, reason: string): Promise<void> {
    const file = this.#segments.get(segment);
    if (file === undefined) return;
    const gap = { from: startOfSegment(segment), to: startOfSegment(segment + 1), reason };
    await this.#try(`put segment ${segment} aside`, async () => {
      await this.#write({ gaps: [...this.#content.gaps, gap], resume: this.end });
      await file[Symbol.asyncDispose]();
      await rename(file.path, `${file.path}${damagedSuffix}`);
    });
    this.#drop(file);
  }

  /** Waits while the disk is full. */
  #onDisk<T>(work: string, signal: AbortSignal, act: () => Promise<T>): Promise<T> {
    return this.#try(work, () => this.#parts.room.onDisk(act, signal));
  }

  async #try<T>(work: string, act: () => Promise<T>): Promise<T> {
    try {
      return await act();
    } catch (error) {
      throw this.#error(error, work);
    }
  }

  #error(error: unknown, work: string): AppError {
    return spoolError(error, `${work} of ${this.branch.lineage} in the spool`);
  }

  async #write(change: Partial<BranchFile>): Promise<void> {
    const content = { ...this.#content, ...change };
    await writeBranchFile(join(this.#parts.folder, branchFileName), content, this.#parts.random);
    this.#content = content;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const file of this.#ordered) await file[Symbol.asyncDispose]();
  }
}

function segmentNumber(name: string): number | undefined {
  const isSegment = name.length === digits + segmentSuffix.length && name.endsWith(segmentSuffix);
  const text = name.slice(0, digits);
  return isSegment && /^\d+$/.test(text) ? Number(text) : undefined;
}
