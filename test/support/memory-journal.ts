// A journal in memory, for tests of what streams into one: it keeps the contract, can be slow, full, fenced and killed, and
// tells what it was given.
import assert from 'node:assert/strict';
import { AppError } from '../../src/base/errors.ts';
import type { JsonObject } from '../../src/base/json.ts';
import type {
  JournalBranch,
  JournalPosition,
  JournalReader,
  JournalSink,
  JournalTarget,
  KeptBranch,
} from '../../src/sources/journal.ts';

export interface MemoryGap {
  readonly lineage: string;
  readonly from: JournalPosition;
  readonly to: JournalPosition;
  readonly reason: string;
}

export interface MemoryJournalOptions {
  /** Awaited by every append before it takes anything: a slow or full place. */
  readonly beforeAppend?: (position: JournalPosition, signal: AbortSignal) => Promise<void>;
  /** Awaited by every sync before anything is durable; a rejection is passed on. */
  readonly beforeSync?: (signal: AbortSignal) => Promise<void>;
  /** What a sync tells that the server may forget, given what is durable: less, for a promised place that lags behind. */
  readonly acknowledge?: (durable: JournalPosition) => JournalPosition | undefined;
}

export interface MemoryJournal extends JournalTarget {
  /** Sees what is durable, and no more. */
  readonly reader: JournalReader;
  readonly gaps: readonly MemoryGap[];
  /** How often something was made durable. */
  readonly syncCount: number;
  /** What the journal holds of a segment, durable or not. */
  bytesOf(lineage: string, segment: number): Buffer;
  /** Another receiver takes over: whoever has a branch open is fenced. */
  fence(): void;
  /** A process that died: what was not durable is gone, and sinks that were open reject from now on. */
  crash(): void;
}

interface Segment {
  readonly bytes: Buffer;
  /** Bytes that were taken. */
  endBytes: number;
  durableBytes: number;
  isSealed: boolean;
  facts: JsonObject;
}

interface Kept {
  readonly branch: JournalBranch;
  readonly segments: Map<number, Segment>;
  /** Where the next byte goes. */
  end: JournalPosition | undefined;
  durable: JournalPosition | undefined;
  described?: { readonly number: number; readonly facts: JsonObject; readonly sizeBytes: number } | undefined;
}

interface Holder {
  readonly controller: AbortController;
  isOpen: boolean;
}

export function memoryJournal(options: MemoryJournalOptions = {}): MemoryJournal {
  const kept = new Map<string, Kept>();
  const gaps: MemoryGap[] = [];
  const counts = { syncs: 0 };
  let holder: Holder | undefined;

  const stop = (message: string): void => {
    holder?.controller.abort(fenced(message));
    holder = undefined;
  };

  return {
    gaps,
    reader: readerOf(kept),
    get syncCount() {
      return counts.syncs;
    },
    bytesOf(lineage, segment) {
      const found = kept.get(lineage)?.segments.get(segment);
      assert.ok(found, `nothing of segment ${segment} of ${lineage} was taken`);
      return Buffer.from(found.bytes.subarray(0, found.endBytes));
    },
    fence: () => stop('another receiver took over'),
    crash() {
      stop('the process is gone');
      for (const one of kept.values()) forgetUndurable(one);
    },

    async branches(signal) {
      signal.throwIfAborted();
      return listBranches(kept);
    },

    async open(branch, signal) {
      signal.throwIfAborted();
      assert.ok(holder?.isOpen !== true, 'the earlier branch is still open');
      const known = kept.get(branch.lineage);
      if (known === undefined) {
        kept.set(branch.lineage, { branch, segments: new Map(), end: undefined, durable: undefined });
      } else {
        assert.deepEqual(known.branch, branch, 'a branch never changes');
      }
      const state = kept.get(branch.lineage);
      assert.ok(state);
      holder = { controller: new AbortController(), isOpen: true };
      return sinkOf(state, { holder, gaps, counts, options });
    },
  };
}

interface SinkParts {
  readonly holder: Holder;
  readonly gaps: MemoryGap[];
  readonly counts: { syncs: number };
  readonly options: MemoryJournalOptions;
}

function sinkOf(state: Kept, { holder, gaps, counts, options }: SinkParts): JournalSink {
  const stopped = holder.controller.signal;
  const { branch } = state;
  const check = (signal: AbortSignal): void => {
    assert.ok(holder.isOpen, 'the sink is closed');
    signal.throwIfAborted();
    stopped.throwIfAborted();
  };
  const makeDurable = (): void => {
    counts.syncs += 1;
    state.durable = state.end;
    for (const segment of state.segments.values()) segment.durableBytes = segment.endBytes;
  };
  return {
    branch,
    signal: stopped,
    resumeAt: () => state.durable,

    async append(position, bytes, signal) {
      check(signal);
      await options.beforeAppend?.(position, AbortSignal.any([signal, stopped]));
      check(signal);
      take(state, position, bytes);
    },

    async sync(signal) {
      check(signal);
      await options.beforeSync?.(AbortSignal.any([signal, stopped]));
      check(signal);
      makeDurable();
      if (state.durable === undefined || options.acknowledge === undefined) return state.durable;
      return options.acknowledge(state.durable);
    },

    async seal(number, facts, signal) {
      check(signal);
      const segment = state.segments.get(number);
      assert.ok(segment, `segment ${number} has no bytes`);
      if (segment.isSealed) return;
      assert.equal(state.end?.segment, number, 'the newest segment is sealed');
      segment.isSealed = true;
      segment.facts = facts;
      state.end = { segment: number + 1, offset: 0 };
      makeDurable();
    },

    describe(number, facts, sizeBytes = 0) {
      assert.ok(holder.isOpen, 'the sink is closed');
      state.described = { number, facts, sizeBytes };
      adoptFacts(state);
    },

    async gap({ from, to, reason }, signal) {
      check(signal);
      assert.deepEqual(from, state.end, 'a gap begins where the journal ends');
      assert.ok(to.offset === 0 && to.segment > from.segment, 'it ends where a later segment begins');
      gaps.push({ lineage: branch.lineage, from, to, reason });
      state.end = to;
      makeDurable();
    },

    async [Symbol.asyncDispose]() {
      holder.isOpen = false;
    },
  };
}

function take(state: Kept, position: JournalPosition, bytes: Uint8Array): void {
  const { branch, segments, end } = state;
  assert.ok(position.offset >= 0 && position.offset + bytes.length <= branch.segmentBytes, 'within one segment');
  if (end === undefined) assert.equal(position.offset, 0, 'a journal begins with a segment');
  else assert.ok(compare(position, end) <= 0, 'beyond the end');
  const isOlder = end !== undefined && position.segment < end.segment;
  let segment = segments.get(position.segment);
  if (segment === undefined) {
    if (isOlder) return; // In a gap, or before all that is kept: nothing to compare with.
    segment = { bytes: Buffer.alloc(branch.segmentBytes), endBytes: 0, durableBytes: 0, isSealed: false, facts: {} };
    segments.set(position.segment, segment);
  }
  const againBytes = Math.max(0, Math.min(bytes.length, segment.endBytes - position.offset));
  const known = segment.bytes.subarray(position.offset, position.offset + againBytes);
  if (Buffer.compare(known, bytes.subarray(0, againBytes)) !== 0) throw forked(branch.lineage, position);
  if (againBytes === bytes.length) return;
  if (segment.isSealed) throw forked(branch.lineage, position); // The branch ended there.
  if (isOlder) return; // The beginning of a gap.
  segment.bytes.set(bytes.subarray(againBytes), position.offset + againBytes);
  segment.endBytes = position.offset + bytes.length;
  state.end = { segment: position.segment, offset: segment.endBytes };
  adoptFacts(state);
}

function adoptFacts(state: Kept): void {
  const { described } = state;
  const segment = described && state.segments.get(described.number);
  if (described === undefined || segment === undefined || segment.endBytes < described.sizeBytes) return;
  if (!segment.isSealed) segment.facts = described.facts;
  state.described = undefined;
}

function forgetUndurable(state: Kept): void {
  state.end = state.durable;
  for (const [number, segment] of state.segments) {
    if (segment.durableBytes === 0) state.segments.delete(number);
    segment.endBytes = segment.durableBytes;
  }
}

function listBranches(kept: ReadonlyMap<string, Kept>): KeptBranch[] {
  return [...kept.values()].flatMap(({ branch, segments, durable }) => {
    const [first] = [...segments.entries()].filter(([, segment]) => segment.durableBytes > 0);
    if (first === undefined || durable === undefined) return [];
    return [{ ...branch, start: { segment: first[0], offset: 0 }, end: durable }];
  });
}

function readerOf(kept: ReadonlyMap<string, Kept>): JournalReader {
  const find = (lineage: string, number: number): Segment => {
    const segment = kept.get(lineage)?.segments.get(number);
    if (segment === undefined || segment.durableBytes === 0) throw missing(`segment ${number} of ${lineage}`);
    return segment;
  };
  return {
    async branches(signal) {
      signal.throwIfAborted();
      return listBranches(kept);
    },
    async segments(lineage, signal) {
      signal.throwIfAborted();
      const state = kept.get(lineage);
      if (state === undefined) throw missing(lineage);
      return [...state.segments.entries()]
        .filter(([, { durableBytes }]) => durableBytes > 0)
        .toSorted(([left], [right]) => left - right)
        .map(([segment, { durableBytes, isSealed }]) => ({ segment, sizeBytes: durableBytes, isSealed }));
    },
    async facts(lineage, segment, signal) {
      signal.throwIfAborted();
      return find(lineage, segment).facts;
    },
    async read(lineage, segment, signal) {
      signal.throwIfAborted();
      const { bytes, durableBytes } = find(lineage, segment);
      return Buffer.from(bytes.subarray(0, durableBytes));
    },
    async readOn({ lineage, segment }, signal) {
      signal.throwIfAborted();
      const { bytes, durableBytes } = find(lineage, segment);
      return Buffer.from(bytes.subarray(0, durableBytes));
    },
  };
}

const compare = (left: JournalPosition, right: JournalPosition): number =>
  left.segment - right.segment || left.offset - right.offset;

function fenced(message: string): AppError {
  return new AppError('JOURNAL_FENCED', message, { hint: 'Stop one of the two receivers.' });
}

function forked(lineage: string, { segment, offset }: JournalPosition): AppError {
  return new AppError('JOURNAL_FORKED', `other bytes are kept of ${lineage} at ${segment}:${offset}`, {
    hint: 'Look at which server sends them.',
  });
}

function missing(what: string): AppError {
  return new AppError('NOT_FOUND', `the journal does not hold ${what}`, { hint: 'List what it holds.' });
}
