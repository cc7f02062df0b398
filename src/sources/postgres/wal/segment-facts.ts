// What is told of one WAL segment beside its bytes, so that "recoverable from … to …" is known without reading them.
import { z } from 'zod';
import { formatLsn, type Lsn, parseLsn } from './lsn.ts';
import type { WalEvent } from './record-event.ts';
import { RecordWalker, type RecordWalkerOptions, type WalStop } from './record-walker.ts';

/** Facts are small: they travel in a header. Who looks for a restore point that was left out reads the segment. */
const restorePointsMax = 64;
const lsn = z.string().refine((text) => parseLsn(text) !== undefined, 'is no LSN');
const count = z.int().min(0);

/** Microseconds since 1970. Clocks of servers can go back, so the first in order need not be the earliest. */
const instant = z.int();

export const segmentFactsSchema = z.object({
  timeline: z.int().min(1),
  /** Commits and aborts alike: a recovery to an instant compares with both. Absent where there were none. */
  times: z.object({ first: instant, last: instant, earliest: instant, latest: instant }).optional(),
  commits: count,
  aborts: count,
  records: count,
  restorePoints: z.array(z.object({ name: z.string(), lsn, timeUs: instant })),
  restorePointsLeftOut: count,
  /** Their replay makes folders at these places of the machine. */
  tablespaces: z.array(z.object({ oid: z.int(), location: z.string(), lsn })).optional(),
  /** Where the first record begins that begins in the segment; absent if none does. */
  firstRecord: lsn.optional(),
  /** Where the last record ends that was complete and valid so far; absent if none ended here. */
  recordsEnd: lsn.optional(),
  /** The segment ends with a switch: what follows in it is empty. */
  isSwitched: z.boolean(),
  /** What it begins with was not checked, because the record began where nobody looked; its meaning is not in these facts. */
  startsUnchecked: z.boolean(),
  /** Where valid WAL ends before the bytes do, and why (see `WalStop`). */
  stop: z.object({ kind: z.enum(['blank', 'stale', 'damaged']), lsn, message: z.string() }).optional(),
  /**
   * The last moment by the server's clock at which it had nothing that is not in here or before; absent where that is not known, as
   * while a receiver catches up, or from a standby.
   */
  receivedTimeUs: instant.optional(),
});

export type SegmentFacts = z.infer<typeof segmentFactsSchema>;

/** Follows one branch segment by segment. A record counts for the segment in which it ends: only then it can be recovered. */
export class SegmentFactsCollector {
  readonly #walker: RecordWalker;
  readonly #timeline: number;
  #counts = emptyCounts();
  #recordsBefore = 0;
  #isFirst = true;

  constructor(options: RecordWalkerOptions) {
    this.#timeline = options.timeline;
    this.#walker = new RecordWalker(options, (event) => note(this.#counts, event));
  }

  /** The next bytes, all of the segment at hand. */
  push(bytes: Uint8Array): void {
    this.#walker.push(bytes);
  }

  /** From now on facts are about the next segment. */
  nextSegment(): void {
    this.#recordsBefore = this.#walker.records;
    this.#counts = emptyCounts();
    this.#isFirst = false;
  }

  /** Of the last record that was complete and valid, in whichever segment it began or ended. */
  get recordsEnd(): Lsn | undefined {
    return this.#walker.recordsEnd;
  }

  get stop(): WalStop | undefined {
    return this.#walker.stop;
  }

  /** What is known of the segment at hand so far. */
  facts(): SegmentFacts {
    const { stop, recordsEnd, firstRecordOfSegment: first, startedWithinRecord } = this.#walker;
    const records = this.#walker.records - this.#recordsBefore;
    return {
      timeline: this.#timeline,
      records,
      ...this.#counts,
      restorePoints: [...this.#counts.restorePoints],
      startsUnchecked: startedWithinRecord && this.#isFirst,
      ...(first === undefined ? {} : { firstRecord: formatLsn(first) }),
      ...(records === 0 || recordsEnd === undefined ? {} : { recordsEnd: formatLsn(recordsEnd) }),
      ...(stop === undefined ? {} : { stop: { ...stop, lsn: formatLsn(stop.lsn) } }),
    };
  }
}

type Counts = Pick<
  SegmentFacts,
  'times' | 'commits' | 'aborts' | 'restorePoints' | 'restorePointsLeftOut' | 'isSwitched' | 'tablespaces'
>;

function emptyCounts(): Counts {
  return { commits: 0, aborts: 0, restorePoints: [], restorePointsLeftOut: 0, isSwitched: false };
}

function note(counts: Counts, event: WalEvent): void {
  switch (event.kind) {
    case 'transaction-end':
      if (event.outcome === 'commit') counts.commits += 1;
      else counts.aborts += 1;
      counts.times = withTime(counts.times, event.timeUs);
      return;
    case 'restore-point':
      if (counts.restorePoints.length === restorePointsMax) counts.restorePointsLeftOut += 1;
      else counts.restorePoints.push({ name: event.name, lsn: formatLsn(event.endLsn), timeUs: event.timeUs });
      return;
    case 'switch':
      counts.isSwitched = true;
      return;
    case 'tablespace': {
      const { oid, location, lsn: at } = event;
      counts.tablespaces = [...(counts.tablespaces ?? []), { oid, location, lsn: formatLsn(at) }].slice(
        -restorePointsMax,
      );
      return;
    }
    case 'checkpoint':
    case 'message':
      return;
    default:
      event satisfies never;
  }
}

function withTime(times: Counts['times'], timeUs: number): NonNullable<Counts['times']> {
  if (times === undefined) return { first: timeUs, last: timeUs, earliest: timeUs, latest: timeUs };
  const { first, earliest, latest } = times;
  return { first, last: timeUs, earliest: Math.min(earliest, timeUs), latest: Math.max(latest, timeUs) };
}
