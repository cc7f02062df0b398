import fc from 'fast-check';
import { expect, test } from 'vitest';
import { arrange, type JournalListing } from '../../repository/journal/listing.ts';
import type { DataName } from '../../repository/journal/object-name.ts';
import type { JournalPlace } from '../../repository/journal/place.ts';
import { decideJournalTrim } from '../../repository/journal/trim.ts';
import type { JournalStretch } from '../../sources/journal.ts';
import { decideNeeds, originOf, type BranchNeed, type BranchOrigin } from './needs.ts';

const segmentBytes = 10;
const at = (place: number): JournalPlace => ({
  segment: Math.floor(place / segmentBytes),
  offset: place % segmentBytes,
});
const segmentAt = (place: number): number => Math.floor(place / segmentBytes);

const root: BranchOrigin = { lineage: 'a', ancestors: [] };
const child: BranchOrigin = { lineage: 'b', ancestors: [{ lineage: 'a', at: at(305) }] };
const grandchild: BranchOrigin = {
  lineage: 'c',
  ancestors: [...(child.ancestors ?? []), { lineage: 'b', at: at(400) }],
};
const base = (lineage: string, from: number, to = from + 5): JournalStretch => ({
  lineage,
  from: at(from),
  to: at(to),
});
const needs = (bases: readonly JournalStretch[], branches = [root, child, grandchild]) => decideNeeds(branches, bases);

test('the oldest backup of a branch is its floor', () => {
  const oldest = base('a', 120);
  expect(needs([base('a', 250), oldest], [root]).get('a')).toEqual({
    standing: 'led-to',
    floor: at(120),
    keptBy: oldest,
  });
});

test('all of a branch stays while a backup from before it left its parent can be replayed into it', () => {
  const decided = needs([base('a', 300), base('b', 390)]);
  expect(decided.get('b')).toMatchObject({ standing: 'led-to', floor: undefined, keptBy: base('a', 300) });
  expect(decided.get('c')).toMatchObject({ standing: 'led-to', floor: undefined });
  expect(decided.get('a')?.floor).toEqual(at(300));
});

test('a backup that was complete only after a branch left does not lead into it', () => {
  const decided = needs([base('a', 301), base('b', 390)]);
  expect(decided.get('b')).toMatchObject({ standing: 'led-to', floor: at(390) });
});

test('of a branch without backups goes what lies before those of the branches that grew out of it', () => {
  const decided = needs([base('c', 450)]);
  expect(decided.get('a')).toMatchObject({ standing: 'passed', floor: at(450) });
  expect(decided.get('b')).toMatchObject({ standing: 'passed', floor: at(450) });
});

test('a branch that no backup has to do with is left alone, and so is one of which it is not known whence it came', () => {
  const sibling: BranchOrigin = { lineage: 'd', ancestors: [{ lineage: 'a', at: at(20) }] };
  const unknown = originOf({ lineage: 'e', about: { ancestors: [{ lineage: 'a' }] } });
  const decided = needs([base('a', 100), base('e', 100)], [root, sibling, unknown]);
  expect(decided.get('d')).toEqual({ standing: 'none', floor: undefined, keptBy: undefined });
  expect(decided.get('e')).toMatchObject({ standing: 'unknown', floor: undefined });
  expect(originOf({ lineage: 'f', about: { history: 'x' } }).ancestors).toBeUndefined();
});

test('a backup begun on a branch and completed on the next needs both', () => {
  const decided = needs([base('b', 300, 310)]);
  expect(decided.get('a')).toMatchObject({ standing: 'led-to', floor: at(300) });
});

interface Grown {
  readonly origin: BranchOrigin;
  readonly begin: number;
  readonly end: number;
}

interface World {
  readonly branches: readonly Grown[];
  readonly bases: readonly JournalStretch[];
}

/** Each branch leaves an earlier one somewhere between its beginning and its end; backups lie anywhere. */
const worlds: fc.Arbitrary<World> = fc
  .record({
    seeds: fc.array(fc.tuple(fc.nat(), fc.nat(), fc.nat(60)), { minLength: 1, maxLength: 7 }),
    backups: fc.array(fc.tuple(fc.nat(), fc.nat(), fc.nat(25)), { maxLength: 8 }),
  })
  .map(({ seeds, backups }) => {
    const branches: Grown[] = [];
    for (const [number, [which, where, length]] of seeds.entries()) {
      const parent = branches[which % Math.max(1, branches.length)];
      const begin = parent === undefined ? 0 : parent.begin + (where % (parent.end - parent.begin + 1));
      const ancestors = parent === undefined ? [] : [...(parent.origin.ancestors ?? []), leaves(parent, begin)];
      branches.push({ origin: { lineage: `branch ${number}`, ancestors }, begin, end: begin + length });
    }
    const bases = backups.map(([which, where, length]) => {
      const { origin, begin, end } = branches.at(which % branches.length)!;
      const to = begin + (where % (end - begin + 1));
      return base(origin.lineage, Math.max(0, to - length), to);
    });
    return { branches, bases };
  });

const leaves = ({ origin: { lineage } }: Grown, place: number) => ({ lineage, at: at(place) });
const numberOf = ({ segment, offset }: JournalPlace): number => segment * segmentBytes + offset;

function journalOf({ origin: { lineage }, begin, end }: Grown): JournalListing {
  const data: DataName[] = [];
  for (let segment = segmentAt(begin); segment <= segmentAt(end); segment += 1) {
    const name = `${lineage}/${segment}`;
    const whole = { name, segment, offset: 0, lengthBytes: segmentBytes, storedBytes: 1, epoch: 1, writer: '0' };
    data.push({ ...whole, kind: 'segment', segmentEnd: segmentBytes });
  }
  return { lineage, segmentBytes, ...arrange({ data, gaps: [], segmentBytes }), problems: [] };
}

function trimmed({ branches, bases }: World): {
  readonly decided: Map<string, BranchNeed<JournalStretch>>;
  readonly gone: Set<string>;
} {
  const decided = decideNeeds(
    branches.map(({ origin }) => origin),
    bases,
  );
  const floors = new Map([...decided].flatMap(([lineage, { floor }]) => (floor ? [[lineage, floor] as const] : [])));
  const { segments } = decideJournalTrim(branches.map(journalOf), floors);
  return { decided, gone: new Set(segments.flatMap(({ objects }) => objects)) };
}

/** What a replay from a backup to the end of a branch reads, from the way there alone; undefined if there is no way. */
function segmentsToEnd(backup: JournalStretch, target: Grown, branches: readonly Grown[]): string[] | undefined {
  const { ancestors = [], lineage } = target.origin;
  const left = ancestors.find((ancestor) => ancestor.lineage === backup.lineage);
  if (lineage !== backup.lineage && (left === undefined || numberOf(backup.to) > numberOf(left.at))) return undefined;
  const way = [
    ...ancestors.map((one) => ({ lineage: one.lineage, end: numberOf(one.at) })),
    { lineage, end: target.end },
  ];
  return way.flatMap(({ lineage: one, end }, index) => {
    const begin = branches.find(({ origin }) => origin.lineage === one)?.begin ?? 0;
    const from = Math.max(begin, numberOf(backup.from));
    if (from > end || (from === end && index < way.length - 1)) return [];
    const count = segmentAt(end) - segmentAt(from) + 1;
    return Array.from({ length: count }, (_, step) => `${one}/${segmentAt(from) + step}`);
  });
}

test('every backup can be replayed to the end of every branch it leads to, whatever was trimmed', () => {
  let ways = 0;
  let sawTrim = 0;
  fc.assert(
    fc.property(worlds, (world) => {
      const { gone } = trimmed(world);
      if (gone.size > 0) sawTrim += 1;
      for (const backup of world.bases) {
        for (const target of world.branches) {
          const needed = segmentsToEnd(backup, target, world.branches);
          if (needed === undefined) continue;
          ways += 1;
          expect(needed.filter((segment) => gone.has(segment))).toEqual([]);
        }
      }
    }),
    { numRuns: 2000 },
  );
  expect(ways).toBeGreaterThan(2000);
  expect(sawTrim).toBeGreaterThan(300);
});

test('nothing goes of branches that backups neither lead to nor grew out of, and nothing stays before a floor', () => {
  fc.assert(
    fc.property(worlds, (world) => {
      const { decided, gone } = trimmed(world);
      for (const branch of world.branches) {
        const { lineage } = branch.origin;
        const own = [...gone].filter((name) => name.startsWith(`${lineage}/`));
        const grewOutOf = world.branches.filter(({ origin }) =>
          origin.ancestors?.some((ancestor) => ancestor.lineage === lineage),
        );
        const related = [branch, ...grewOutOf].map(({ origin }) => origin.lineage);
        const isRelated = world.bases.some((backup) => related.includes(backup.lineage));
        expect(isRelated ? [] : own).toEqual([]);
        const floor = decided.get(lineage)?.floor;
        if (floor === undefined) continue;
        const first = Math.min(floor.segment, segmentAt(branch.end));
        expect(own).toHaveLength(Math.max(0, first - segmentAt(branch.begin)));
      }
    }),
    { numRuns: 500 },
  );
});

test('without the oldest backup nothing stays longer, as long as a later one of its branch is there', () => {
  fc.assert(
    fc.property(worlds, (world) => {
      const { gone } = trimmed(world);
      if (world.bases.length < 2) return;
      const oldest = world.bases.reduce((left, right) => (numberOf(left.from) <= numberOf(right.from) ? left : right));
      const rest = world.bases.filter(
        (one) => one !== oldest && one.lineage === oldest.lineage && numberOf(one.from) > numberOf(oldest.from),
      );
      if (rest.length === 0) return;
      const later = trimmed({ ...world, bases: world.bases.filter((one) => one !== oldest) }).gone;
      expect([...gone].filter((segment) => !later.has(segment))).toEqual([]);
    }),
    { numRuns: 500 },
  );
});
