// What lies in kept segments: by the facts beside them where those tell it, by walking through the bytes where they do not.
import { z } from 'zod';
import type { JournalReader } from '../../journal.ts';
import { freeMemory } from '../../../base/free-memory.ts';
import { type Lsn, lsnOf, parseLsn } from '../wal/lsn.ts';
import { majorOfMagic, longHeaderBytes, readSegmentHeader } from '../wal/page-header.ts';
import type { WalEvent } from '../wal/record-event.ts';
import { RecordWalker, type WalStop } from '../wal/record-walker.ts';
import { SegmentFactsCollector, segmentFactsSchema, type SegmentFacts } from '../wal/segment-facts.ts';
import type { ReplaySegment } from './reach.ts';

/** Beside what every segment tells: when, by its own clock, the server had nothing more. */
const receivedSchema = z.object({ receivedTimeUs: z.int() });

export interface KnownFacts extends SegmentFacts {
  readonly receivedTimeUs?: number | undefined;
}

export interface Cluster {
  readonly systemIdentifier: string;
  readonly segmentBytes: number;
}

export interface Walk {
  /** Where the last complete, valid record ends and where it begins; undefined if there is none. */
  readonly recordsEnd: Lsn | undefined;
  readonly lastRecord: Lsn | undefined;
  readonly stop: WalStop | undefined;
}

export class WalLibrary {
  readonly #reader: JournalReader;
  readonly #cluster: Cluster;
  /** Segments of which less was there than the listing says are read once more only if asked for once more. */
  readonly #walked = new Map<string, KnownFacts>();

  constructor(reader: JournalReader, cluster: Cluster) {
    this.#reader = reader;
    this.#cluster = cluster;
  }

  /** Of a sealed segment as they were stored; of an open one, and where none fit, by its bytes. */
  async facts(segment: ReplaySegment, signal: AbortSignal): Promise<KnownFacts> {
    const stored = await this.#reader.facts(segment.lineage, segment.segment, signal);
    const received = receivedSchema.safeParse(stored).data;
    const parsed = segmentFactsSchema.safeParse(stored).data;
    if (segment.isSealed && parsed !== undefined) return { ...parsed, ...received };
    const key = `${segment.segment} ${segment.lineage}`;
    const known = this.#walked.get(key);
    if (known !== undefined) return known;
    const bytes = await this.#reader.read(segment.lineage, segment.segment, signal);
    const collector = new SegmentFactsCollector(this.#walkerOptions(segment, bytes));
    collector.push(bytes);
    freeMemory(bytes);
    const walked = collector.facts();
    // What was noted of an open segment may be ahead of the bytes of it that arrived here.
    const isAll = parsed !== undefined && parsed.recordsEnd === walked.recordsEnd;
    const facts = { ...walked, ...(isAll ? received : {}) };
    this.#walked.set(key, facts);
    return facts;
  }

  /**
   * Walks through segments that follow one another. `onEvent` may end it by returning true. Bytes are read one segment at a
   * time, so a hundred segments take as long as downloading them.
   */
  async walk(
    segments: readonly ReplaySegment[],
    onEvent: (event: WalEvent) => boolean,
    signal: AbortSignal,
  ): Promise<Walk> {
    let isEnough = false;
    let walker: RecordWalker | undefined;
    const last = segments.at(-1);
    for (const segment of segments) {
      const bytes = await this.#reader.read(segment.lineage, segment.segment, signal);
      walker ??= new RecordWalker(
        { ...this.#walkerOptions(segment, bytes), timeline: last?.timeline ?? segment.timeline },
        (event) => {
          if (!isEnough) isEnough = onEvent(event);
        },
      );
      walker.push(bytes);
      freeMemory(bytes);
      if (isEnough || walker.stop !== undefined) break;
    }
    return { recordsEnd: walker?.recordsEnd, lastRecord: walker?.lastRecord, stop: walker?.stop };
  }

  /** The last complete record of a stretch: of its last segment, or further back where a record fills whole segments. */
  async tail(segments: readonly ReplaySegment[], signal: AbortSignal): Promise<Walk & { readonly timeUs?: number }> {
    for (let count = 1; ; count *= 2) {
      const some = segments.slice(-count);
      let timeUs: number | undefined;
      const walk = await this.walk(
        some,
        (event) => {
          if ('timeUs' in event) timeUs = Math.max(timeUs ?? event.timeUs, event.timeUs);
          return false;
        },
        signal,
      );
      const isAll = count >= segments.length;
      if (walk.lastRecord !== undefined || isAll) return { ...walk, ...(timeUs === undefined ? {} : { timeUs }) };
    }
  }

  #walkerOptions({ segment, timeline }: ReplaySegment, bytes: Buffer) {
    const { systemIdentifier, segmentBytes } = this.#cluster;
    // A version that is not known shows as a page that is none, which is what the walker then says.
    const magic = bytes.length < longHeaderBytes ? 0 : readSegmentHeader(bytes).magic;
    return {
      startLsn: lsnOf({ segment, offset: 0 }, segmentBytes),
      segmentBytes,
      major: majorOfMagic(magic) ?? 18,
      systemIdentifier: BigInt(systemIdentifier),
      timeline,
    };
  }
}

/** An LSN out of facts, whose form their schema vouches for. */
export function factLsn(text: string): Lsn {
  return parseLsn(text) ?? 0n;
}
