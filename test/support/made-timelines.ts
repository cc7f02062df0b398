// Servers that are promoted and go on, made by hand: their timelines, what they commit, which of their segments are kept and when
// they were backed up. Knows what each recovery must lead to without asking the code that decides it.
import type { JsonObject } from '../../src/base/json.ts';
import type { JournalReader } from '../../src/sources/journal.ts';
import { lineageOf, timelineBranch } from '../../src/sources/postgres/lineage.ts';
import { formatLsn, type Lsn } from '../../src/sources/postgres/wal/lsn.ts';
import { SegmentFactsCollector } from '../../src/sources/postgres/wal/segment-facts.ts';
import type { ReplayBase, ReplayPlace } from '../../src/sources/replay.ts';
import { MadeWal, madeWalOptions } from './made-wal.ts';
import { memoryJournal } from './memory-journal.ts';

const never = new AbortController().signal;
const { segmentBytes, major, systemIdentifier } = madeWalOptions;

export interface MadeEvent {
  readonly kind: 'commit' | 'restore-point';
  readonly xid: number;
  readonly name: string;
  readonly timeUs: number;
  readonly lsn: Lsn;
  readonly endLsn: Lsn;
}

export interface MadeTimeline {
  readonly number: number;
  readonly lineage: string;
  readonly history: Buffer | undefined;
  readonly parent: MadeTimeline | undefined;
  readonly switchLsn: Lsn;
  readonly wal: MadeWal;
  readonly events: MadeEvent[];
}

export interface MadeBase {
  readonly id: string;
  readonly timeline: MadeTimeline;
  readonly lsn: Lsn;
  readonly timeUs: number;
}

export class MadeTimelines {
  readonly timelines: MadeTimeline[] = [];
  readonly bases: MadeBase[] = [];
  /** `lineage segment` of what was lost. */
  readonly lost = new Set<string>();
  timeUs = 1_795_000_000_000_000;
  #xid = 700;

  constructor() {
    const lineage = lineageOf({ systemIdentifier: String(systemIdentifier), timeline: 1, history: undefined });
    const wal = new MadeWal({ ...madeWalOptions, timeline: 1 });
    wal.record({ manager: 0, info: 0x20, body: Buffer.of(255, 4, 0, 0, 0, 0) });
    this.timelines.push({ number: 1, lineage, history: undefined, parent: undefined, switchLsn: 0n, wal, events: [] });
  }

  commit(timeline: MadeTimeline): MadeEvent {
    this.timeUs += 1_000_000;
    this.#xid += 1;
    const place = timeline.wal.commit(BigInt(this.timeUs), Buffer.alloc(0), this.#xid);
    return this.#note(timeline, { kind: 'commit', xid: this.#xid, name: '', timeUs: this.timeUs, ...place });
  }

  restorePoint(timeline: MadeTimeline, name: string): MadeEvent {
    this.timeUs += 1_000_000;
    const place = timeline.wal.restorePoint(name, BigInt(this.timeUs));
    return this.#note(timeline, { kind: 'restore-point', xid: 0, name, timeUs: this.timeUs, ...place });
  }

  #note(timeline: MadeTimeline, event: MadeEvent): MadeEvent {
    timeline.events.push(event);
    return event;
  }

  /** So much that the log goes on in later segments. */
  fill(timeline: MadeTimeline, bytes: number): void {
    timeline.wal.record({ manager: 10, info: 0, body: Buffer.alloc(bytes) });
  }

  /** A checkpoint comes before each backup. */
  backUp(timeline: MadeTimeline): MadeBase {
    this.timeUs += 1_000_000;
    this.fill(timeline, 100);
    const base = { id: `base ${this.bases.length}`, timeline, lsn: endOf(timeline), timeUs: this.timeUs };
    this.bases.push(base);
    return base;
  }

  /** The parent may go on, too. */
  promote(parent: MadeTimeline, number: number): MadeTimeline {
    const wal = parent.wal.fork(number);
    const switchLsn = wal.end;
    const line = `${parent.number}\t${formatLsn(switchLsn)}\tno recovery target specified ${this.timelines.length}\n`;
    const before = parent.history === undefined ? '' : `${parent.history.toString()}\n`;
    const history = Buffer.from(before + line);
    const lineage = lineageOf({ systemIdentifier: String(systemIdentifier), timeline: number, history });
    const made = { number, lineage, history, parent, switchLsn, wal, events: [] };
    this.timelines.push(made);
    return made;
  }

  /** All events that lead to the end of a timeline, in order. */
  eventsTo(timeline: MadeTimeline, until?: Lsn): MadeEvent[] {
    const before = timeline.parent === undefined ? [] : this.eventsTo(timeline.parent, timeline.switchLsn);
    const own = timeline.events.filter(({ lsn }) => until === undefined || lsn < until);
    return [...before, ...own];
  }

  /** Which timeline's name the segment has on the way to the end of this one. */
  ownerOf(timeline: MadeTimeline, segment: number): MadeTimeline {
    const first = Number(timeline.switchLsn / BigInt(segmentBytes));
    return timeline.parent !== undefined && segment < first ? this.ownerOf(timeline.parent, segment) : timeline;
  }

  isKept(timeline: MadeTimeline, segment: number): boolean {
    const owner = this.ownerOf(timeline, segment);
    return segment <= lastSegment(owner) && !this.lost.has(`${owner.lineage} ${segment}`);
  }

  async place(): Promise<ReplayPlace> {
    return { bases: this.bases.map(replayBase), journal: await this.#journal() };
  }

  async #journal(): Promise<JournalReader> {
    const journal = memoryJournal();
    for (const { number, history, wal } of this.timelines) {
      const branch = timelineBranch({
        systemIdentifier: String(systemIdentifier),
        timeline: number,
        history,
        segmentBytes,
        major,
      });
      await using sink = await journal.open(branch, never);
      const collector = new SegmentFactsCollector({ ...wal.options, timeline: number });
      const first = Number(wal.options.startLsn / BigInt(segmentBytes));
      const { bytes } = wal;
      for (let at = 0; at < bytes.length; at += segmentBytes) {
        const segment = first + at / segmentBytes;
        const piece = bytes.subarray(at, at + segmentBytes);
        await sink.append({ segment, offset: 0 }, piece, never);
        collector.push(piece);
        if (piece.length === segmentBytes) {
          await sink.seal(segment, JSON.parse(JSON.stringify(collector.facts())) as JsonObject, never);
          collector.nextSegment();
        }
      }
      await sink.sync(never);
    }
    const { reader } = journal;
    return {
      ...reader,
      segments: async (lineage, signal) =>
        (await reader.segments(lineage, signal)).filter(({ segment }) => !this.lost.has(`${lineage} ${segment}`)),
    };
  }
}

export function endOf({ wal }: MadeTimeline): Lsn {
  const { end } = wal;
  return end + BigInt(-Number(end & 7n) & 7);
}

/** The last of which anything was written. */
export function lastSegment({ wal }: MadeTimeline): number {
  return Number((wal.end - 1n) / BigInt(segmentBytes));
}

function replayBase({ id, timeline, lsn, timeUs }: MadeBase): ReplayBase {
  const position = { segment: Number(lsn / BigInt(segmentBytes)), offset: Number(lsn % BigInt(segmentBytes)) };
  return {
    id,
    journal: { lineage: timeline.lineage, from: position, to: position },
    facts: async () => ({
      method: 'physical',
      serverMajor: major,
      systemIdentifier: String(systemIdentifier),
      walSegmentBytes: segmentBytes,
      consistentLsn: formatLsn(lsn),
      consistentTimeUs: timeUs,
    }),
  };
}
