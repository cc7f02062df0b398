// Looks through WAL before a standby is given it: for marks of fingerprints, and for what its replay would do outside of its folder.
import type { KeptTimeline } from '../recovery/timeline-tree.ts';
import type { Lsn } from '../wal/lsn.ts';
import { longHeaderBytes, majorOfMagic, readSegmentHeader } from '../wal/page-header.ts';
import type { WalEvent } from '../wal/record-event.ts';
import { RecordWalker } from '../wal/record-walker.ts';

export class WalScan {
  readonly #onEvent: (event: WalEvent) => void;
  #goal: KeptTimeline;
  #walker: RecordWalker | undefined;

  constructor(goal: KeptTimeline, onEvent: (event: WalEvent) => void) {
    this.#goal = goal;
    this.#onEvent = onEvent;
  }

  follow(goal: KeptTimeline): void {
    this.#goal = goal;
    this.#walker = undefined;
  }

  /** All that is there of a segment; what was seen before is passed over. */
  push(start: Lsn, bytes: Buffer): void {
    if (bytes.length < longHeaderBytes) return;
    const end = start + BigInt(bytes.length);
    const at = this.#walker?.position;
    const goesOn = at !== undefined && at >= start && at <= end && this.#walker?.stop === undefined;
    if (!goesOn) this.#walker = this.#begin(start, bytes);
    const from = goesOn ? Number(at - start) : 0;
    this.#walker?.push(bytes.subarray(from));
  }

  #begin(startLsn: Lsn, bytes: Buffer): RecordWalker {
    const { segmentBytes, systemIdentifier, timeline, major } = this.#goal;
    return new RecordWalker(
      {
        startLsn,
        segmentBytes,
        major: major ?? majorOfMagic(readSegmentHeader(bytes).magic) ?? 18,
        systemIdentifier: BigInt(systemIdentifier),
        timeline,
      },
      this.#onEvent,
    );
  }
}
