// What a repository holds of a component's journal, and what it lacks: how far it reaches, and each hole with its reason.
import type { JsonObject } from '../../base/json.ts';
import { readBranches } from '../../repository/journal/branches.ts';
import { lookAtLease, type SeenLease } from '../../repository/journal/lease.ts';
import { listJournal, type JournalHole, type JournalListing } from '../../repository/journal/listing.ts';
import type { JournalProblem } from '../../repository/journal/object-name.ts';
import { readFacts, readGap } from '../../repository/journal/read.ts';
import type { Repository } from '../../repository/repository.ts';
import type { JournalBranch, JournalPosition } from '../../sources/journal.ts';
import { tellingFacts } from '../../sources/telling-facts.ts';
import { comparePositions } from './positions.ts';

export interface SurveyedBranch extends JournalBranch {
  readonly start: JournalPosition;
  readonly end: JournalPosition;
  /** The newest facts that say something, and the oldest. */
  readonly newestFacts: readonly JsonObject[];
  readonly oldestFacts: readonly JsonObject[];
  readonly holes: readonly SurveyedHole[];
}

export interface SurveyedHole {
  readonly from: JournalPosition;
  readonly to: JournalPosition;
  /** As it was recorded; undefined for a hole that nobody recorded. */
  readonly reason: string | undefined;
  readonly timeMs: number | undefined;
}

export interface JournalSurvey {
  readonly branches: readonly SurveyedBranch[];
  readonly lease: SeenLease | undefined;
  readonly problems: readonly JournalProblem[];
}

export async function surveyJournal(
  repository: Repository,
  options: { readonly family: string; readonly withFacts: boolean },
  signal: AbortSignal,
): Promise<JournalSurvey> {
  const { family, withFacts } = options;
  const { branches, problems } = await readBranches(repository, signal);
  const own = branches.filter(({ families }) => families.length === 0 || families.includes(family));
  const surveyed: SurveyedBranch[] = [];
  const found = [...problems];
  for (const { lineage, segmentBytes, about } of own) {
    const listing = await listJournal(repository, { lineage, segmentBytes }, signal);
    found.push(...listing.problems);
    const [first, last] = [listing.stretches[0], listing.stretches.at(-1)];
    if (first === undefined || last === undefined) continue;
    const factsOf = (segment: number): Promise<JsonObject> => readFacts(repository, listing, { segment, signal });
    const numbers = [...new Set(listing.stretches.map(({ segment }) => segment))];
    surveyed.push({
      lineage,
      segmentBytes,
      about,
      start: { segment: first.segment, offset: first.from },
      end: last.isSealed ? { segment: last.segment + 1, offset: 0 } : { segment: last.segment, offset: last.to },
      newestFacts: withFacts ? await tellingFacts(numbers.toReversed(), factsOf) : [],
      oldestFacts: withFacts ? await tellingFacts(numbers, factsOf) : [],
      holes: await Promise.all(listing.holes.map((hole) => explain(repository, listing, { hole, signal }))),
    });
  }
  return { branches: surveyed, lease: await lookAtLease(repository, family, signal), problems: found };
}

async function explain(
  repository: Repository,
  listing: JournalListing,
  { hole, signal }: { readonly hole: JournalHole; readonly signal: AbortSignal },
): Promise<SurveyedHole> {
  const { from, to } = hole;
  const gap = listing.gaps.find((one) => comparePositions(one.from, to) < 0 && comparePositions(from, one.to) < 0);
  if (gap === undefined) return { from, to, reason: undefined, timeMs: undefined };
  const { reason, timeMs } = await readGap(repository, { lineage: listing.lineage, gap, signal });
  return { from, to, reason, timeMs };
}
