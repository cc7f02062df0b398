// What backups need of journals: a backup is worth its journal from its own start to the end of its branch and of every branch
// that grew out of that later on. What lies before all such starts nobody can replay any more. Pure.
import { z } from 'zod';
import type { JsonObject } from '../../base/json.ts';
import { comparePlaces, journalPlaceSchema, type JournalPlace } from '../../repository/journal/place.ts';
import type { JournalAncestor, JournalStretch } from '../../sources/journal.ts';

export interface BranchOrigin {
  readonly lineage: string;
  /** Oldest first; undefined if it is not known what it grew out of. */
  readonly ancestors: readonly JournalAncestor[] | undefined;
}

export interface BranchNeed<Base extends JournalStretch> {
  /**
   * `led-to`: some backup can be replayed into the branch. `passed`: none can, but there are backups of branches that grew out of
   * it. `none`: no backup has to do with it. `unknown`: what it grew out of is not known, so neither is who needs it.
   */
  readonly standing: 'led-to' | 'passed' | 'none' | 'unknown';
  /** What lies before it nobody needs. Undefined: all of it may be needed, or nothing is known. */
  readonly floor: JournalPlace | undefined;
  /** The backup that the floor is due to, or the need for all of it. */
  readonly keptBy: Base | undefined;
}

const aboutSchema = z.looseObject({
  ancestors: z.array(z.object({ lineage: z.string(), at: journalPlaceSchema })),
});

/** As `JournalAncestor` tells; a list that is absent or malformed is none. */
export function originOf({ lineage, about }: { readonly lineage: string; readonly about: JsonObject }): BranchOrigin {
  return { lineage, ancestors: aboutSchema.safeParse(about).data?.ancestors };
}

export function decideNeeds<Base extends JournalStretch>(
  branches: readonly BranchOrigin[],
  bases: readonly Base[],
): Map<string, BranchNeed<Base>> {
  const origins = new Map(branches.map(({ lineage, ancestors }) => [lineage, ancestors]));
  const oldestFirst = bases.toSorted((left, right) => comparePlaces(left.from, right.from));
  return new Map(branches.map((branch) => [branch.lineage, needOf(branch, oldestFirst, origins)]));
}

function needOf<Base extends JournalStretch>(
  { lineage, ancestors }: BranchOrigin,
  oldestFirst: readonly Base[],
  origins: ReadonlyMap<string, BranchOrigin['ancestors']>,
): BranchNeed<Base> {
  if (ancestors === undefined) {
    const keptBy = oldestFirst.find((base) => base.lineage === lineage);
    return { standing: 'unknown', floor: undefined, keptBy };
  }
  // Replayed along an ancestor, and from the beginning of this branch on.
  const through = oldestFirst.find(({ lineage: own, to }) =>
    ancestors.some((ancestor) => ancestor.lineage === own && comparePlaces(to, ancestor.at) <= 0),
  );
  if (through !== undefined) return { standing: 'led-to', floor: undefined, keptBy: through };
  const leftAt = (base: Base): JournalPlace | undefined =>
    origins.get(base.lineage)?.find((ancestor) => ancestor.lineage === lineage)?.at;
  const first = oldestFirst.find((base) => {
    if (base.lineage === lineage) return true;
    // One that was begun here and completed on a branch that left meanwhile.
    const at = leftAt(base);
    return at !== undefined && comparePlaces(base.from, at) < 0;
  });
  if (first !== undefined) return { standing: 'led-to', floor: first.from, keptBy: first };
  const beyond = oldestFirst.find((base) => leftAt(base) !== undefined);
  return { standing: beyond === undefined ? 'none' : 'passed', floor: beyond?.from, keptBy: beyond };
}
