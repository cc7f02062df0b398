// What the trim of journals leaves of PostgreSQL's timelines, against what its recovery can reach: trim knows nothing of timelines,
// and recovery nothing of trim.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { decideNeeds, originOf } from '../../src/operations/journal/needs.ts';
import { arrange, type JournalListing } from '../../src/repository/journal/listing.ts';
import type { DataName } from '../../src/repository/journal/object-name.ts';
import { decideJournalTrim } from '../../src/repository/journal/trim.ts';
import type { KeptBranch, KeptSegment } from '../../src/sources/journal.ts';
import { replayRestore } from '../../src/sources/postgres/recovery/replay-restore.ts';
import type { ReplayPlace } from '../../src/sources/replay.ts';
import { MadeTimelines } from '../support/made-timelines.ts';
import { madeWalOptions } from '../support/made-wal.ts';

const { signal } = new AbortController();
const { segmentBytes } = madeWalOptions;
/** Which instants can be reached depends on no option. */
const recovery = replayRestore({} as never);

interface World {
  readonly steps: readonly { readonly kind: number; readonly which: number; readonly size: number }[];
  /** Which backups are removed again. */
  readonly forgotten: readonly number[];
}

const worlds: fc.Arbitrary<World> = fc.record({
  steps: fc.array(fc.record({ kind: fc.nat(9), which: fc.nat(7), size: fc.nat(100) }), {
    minLength: 10,
    maxLength: 40,
  }),
  forgotten: fc.array(fc.nat(), { maxLength: 4 }),
});

function build({ steps, forgotten }: World): MadeTimelines {
  const made = new MadeTimelines();
  for (const { kind, which, size } of steps) {
    const timeline = made.timelines.at(which % made.timelines.length)!;
    if (kind <= 2) made.commit(timeline);
    else if (kind <= 5) made.fill(timeline, size * 20_000);
    else if (kind === 6 && made.timelines.length < 5) made.promote(timeline, made.timelines.length + 1);
    else made.backUp(timeline);
  }
  for (const which of forgotten) if (made.bases.length > 0) made.bases.splice(which % made.bases.length, 1);
  return made;
}

function listingOf({ lineage }: KeptBranch, segments: readonly KeptSegment[]): JournalListing {
  const data = segments.map(({ segment, sizeBytes, isSealed }): DataName => ({
    name: `${lineage} ${segment}`,
    kind: isSealed ? 'segment' : 'part',
    segment,
    offset: 0,
    lengthBytes: sizeBytes,
    segmentEnd: isSealed ? sizeBytes : undefined,
    storedBytes: sizeBytes,
    epoch: 1,
    writer: '0',
  }));
  return { lineage, segmentBytes, ...arrange({ data, gaps: [], segmentBytes }), problems: [] };
}

async function outdated({ bases, journal }: ReplayPlace): Promise<string[]> {
  const branches = await journal.branches(signal);
  const listings = await Promise.all(
    branches.map(async (branch) => listingOf(branch, await journal.segments(branch.lineage, signal))),
  );
  const needs = decideNeeds(
    branches.map(originOf),
    bases.flatMap((base) => base.journal ?? []),
  );
  const floors = new Map([...needs].flatMap(([lineage, { floor }]) => (floor ? [[lineage, floor] as const] : [])));
  return decideJournalTrim(listings, floors).segments.flatMap(({ objects }) => objects);
}

test('every instant that can be reached from the backups that stay can be reached after a trim', async () => {
  let removed = 0;
  let windowsSeen = 0;
  await fc.assert(
    fc.asyncProperty(worlds, async (world) => {
      const made = build(world);
      const before = await made.place();
      const windows = await recovery.windows(before, signal);
      const names = await outdated(before);
      for (const name of names) made.lost.add(name);
      const after = await made.place();
      expect(await recovery.windows(after, signal)).toEqual(windows);
      expect(await outdated(after)).toEqual([]);
      removed += names.length;
      windowsSeen += windows.length;
    }),
    { numRuns: 60 },
  );
  expect(removed).toBeGreaterThan(20);
  expect(windowsSeen).toBeGreaterThan(30);
});
