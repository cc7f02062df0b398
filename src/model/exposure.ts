// What each scenario costs a component at worst, by arithmetic alone: how far backups and copies are apart over a year with
// its clock changes, how long they take, which repositories are left. What nobody measured counts as nothing, so that a loss
// is then `at least`.
import { formatAtMost as words } from '../base/duration.ts';
import {
  arrivalsByRun,
  areStartsKnown,
  arrivalsByCopy,
  worstAge,
  zonesOf,
  type ArrivalsFrom,
  type WorstAge,
} from './arrivals.ts';
import type { Component } from './component.ts';
import type { Job } from './job.ts';
import type { RepositorySettings } from './repository-settings.ts';
import { lockMsOf, scenarios, survivalOf, type Scenario, type Survival } from './scenario.ts';
import { thawMsOf } from './thaw-time.ts';

/** What ways are worked out from. */
export interface Planning {
  readonly jobs: readonly Job[];
  /** How long jobs take at most, by their id, as far as it was measured. */
  readonly durationsMs: ReadonlyMap<string, number>;
  /** From when on schedules are looked at. */
  readonly fromMs: number;
  /** Components with one policy mostly have one answer. */
  readonly memo: Map<string, WorstAge | undefined>;
}

/** What one scenario costs a component at worst. */
export interface Exposure {
  readonly component: string;
  readonly scenario: Scenario;
  /** How much of the newest data is lost; or all of it. */
  readonly lossMs: number | 'all';
  /** Something of it was never measured. */
  readonly isAtLeast: boolean;
  /** Where the data comes back from. */
  readonly repository: string | undefined;
  readonly by: 'journal' | 'backup' | 'copy' | undefined;
  /** Why, in words: `backups to local are up to 4h apart: up to 4h may be lost`. */
  readonly arithmetic: string;
  /** How long at worst until that can be read: of ways that keep the promise, or of all if none does, the quickest. */
  readonly thawMs: number;
  readonly objectiveMs: number | undefined;
  readonly verdict: 'kept' | 'broken' | 'unknown' | 'unpromised';
}

type Loss = Pick<Exposure, 'lossMs' | 'isAtLeast' | 'repository' | 'by' | 'arithmetic'>;
type Outcome = Loss & Pick<Exposure, 'thawMs'>;

export function exposuresOf(
  component: Component,
  ways: readonly Way[],
  repositories: readonly RepositorySettings[],
): Exposure[] {
  return scenarios.map((scenario) => {
    const outcomes = outcomesOf(component, scenario, { ways, repositories });
    const best = outcomes.reduce((one, other) => (isBetter(other, one) ? other : one));
    const objectiveMs = objectiveIn(component, scenario);
    const thawMs = thawIn(outcomes, objectiveMs);
    const verdict = verdictOf(outcomes, objectiveMs);
    return { component: component.name, scenario, ...best, thawMs, objectiveMs, verdict };
  });
}

/** What was promised for a scenario. Against somebody with all credentials nothing is, unless it is said: it takes more than copies. */
function objectiveIn({ objectives }: Component, scenario: Scenario): number | undefined {
  const own = objectives?.rpoOfScenario[scenario];
  if (own !== undefined) return own === 'none' ? undefined : own;
  return scenario === 'ransomware' ? undefined : objectives?.rpoMs;
}

/** One way that surely does is enough; that none does must be sure too. */
function verdictOf(outcomes: readonly Outcome[], objectiveMs: number | undefined): Exposure['verdict'] {
  if (objectiveMs === undefined) return 'unpromised';
  const fitting = outcomes.filter((outcome) => lossOf(outcome) <= objectiveMs);
  if (fitting.length === 0) return 'broken';
  return fitting.some(({ isAtLeast }) => !isAtLeast) ? 'kept' : 'unknown';
}

function thawIn(outcomes: readonly Outcome[], objectiveMs = Infinity): number {
  const fitting = outcomes.filter((outcome) => lossOf(outcome) <= objectiveMs);
  return Math.min(...(fitting.length === 0 ? outcomes : fitting).map(({ thawMs }) => thawMs));
}

/** How states of a component reach a repository. */
export interface Way {
  readonly repository: string;
  readonly by: 'backup' | 'copy';
  /** Undefined: never by themselves. */
  readonly worst: WorstAge | undefined;
  readonly isMeasured: boolean;
  readonly lastsMs: number | undefined;
}

export interface Chain {
  readonly arrivals: ArrivalsFrom;
  readonly jobs: readonly Job[];
}

export function waysBack({ name, policy }: Component, planning: Planning): Way[] {
  const { jobs, durationsMs } = planning;
  const chains = new Map<string, Chain>();
  const backup = jobs.find((job) => job.kind === 'backup' && job.component === name);
  const targets = policy.targets.map(({ repository }) => repository);
  if (backup !== undefined) {
    for (const repository of targets)
      chains.set(repository, { arrivals: arrivalsByRun(backup, planning), jobs: [backup] });
  }
  const copies = jobs.filter((job) => job.kind === 'copy').filter(({ component }) => component === name);
  // A copy may be made from a copy, which may stand below it.
  for (let before = -1; before < chains.size;) {
    before = chains.size;
    for (const copy of copies) {
      const origin = chains.get(copy.from);
      if (origin === undefined || chains.has(copy.to)) continue;
      const arrivals = arrivalsByCopy(copy, origin.arrivals, planning);
      chains.set(copy.to, { arrivals, jobs: [...origin.jobs, copy] });
    }
  }
  const ways = [...chains].map(([repository, { arrivals, jobs: own }]): Way => ({
    repository,
    by: own.length > 1 ? 'copy' : 'backup',
    worst: remembered({ arrivals, jobs: own }, planning),
    isMeasured: own.every((job) => durationsMs.has(job.id) && areStartsKnown(job, planning)),
    lastsMs: durationsMs.get(own.at(-1)?.id ?? ''),
  }));
  const reached = new Set(chains.keys());
  const onDemand = [...targets, ...policy.copies.map(({ to }) => to)].filter((each) => !reached.has(each));
  return [
    ...ways,
    ...onDemand.map((repository): Way => ({
      repository,
      by: 'backup',
      worst: undefined,
      isMeasured: false,
      lastsMs: undefined,
    })),
  ];
}

/** Asked once for jobs that come alike: those by plain cron text do for all components. */
export function remembered(
  { arrivals, jobs }: Chain,
  { memo, durationsMs, fromMs, jobs: all }: Planning,
): WorstAge | undefined {
  const compute = (): WorstAge | undefined => worstAge(arrivals, { fromMs, zones: zonesOf(all) });
  const isPlain = jobs.every(({ schedules }) =>
    schedules.every((each) => each.kind === 'before' || (each.kind === 'cron' && each.jitterMs === undefined)),
  );
  if (!isPlain) return compute();
  const key = JSON.stringify(
    jobs.map(({ id, schedules, maintenance }) => [schedules, maintenance, durationsMs.get(id)]),
  );
  const known = memo.get(key);
  if (known !== undefined) return known;
  const worst = compute();
  memo.set(key, worst);
  return worst;
}

/** What each way costs that is left; one at least. */
function outcomesOf(
  component: Component,
  scenario: Scenario,
  { ways, repositories }: { readonly ways: readonly Way[]; readonly repositories: readonly RepositorySettings[] },
): Outcome[] {
  const survivors = ways.flatMap((way) => {
    const settings = repositories.find(({ name }) => name === way.repository);
    if (settings === undefined) return [];
    const survivalIn = (each: Scenario): Survival => survivalOf(settings, each, way.worst?.apartMs);
    const outlived = scenarios.filter((each) => survivalIn(each) !== 'no').length;
    return [{ way, settings, survival: survivalIn(scenario), outlived }];
  });
  // Of ways that cost the same, the one that is there in more scenarios: one cause is then told once.
  const left = survivors
    .filter(({ survival }) => survival !== 'no')
    .toSorted((one, other) => other.outlived - one.outlived);
  if (left.length === 0) {
    const arithmetic = 'no repository outlives it: all is lost';
    return [{ lossMs: 'all', isAtLeast: false, repository: undefined, by: undefined, arithmetic, thawMs: 0 }];
  }
  return left.flatMap(({ way, settings, survival }) => {
    const thawMs = thawMsOf(settings, way.worst?.apartMs);
    const losses = [byJournal(component, scenario, way) ?? [], bySnapshot(way)].flat();
    return losses.map((loss) => ({ ...(survival === 'surely' ? loss : asFarAsLocked(loss, settings)), thawMs }));
  });
}

function asFarAsLocked(loss: Loss, settings: RepositorySettings): Loss {
  const locked = words(lockMsOf(settings) ?? 0);
  const arithmetic = `${loss.arithmetic}, and more where it needs what was written more than ${locked} before, which is locked no more`;
  return { ...loss, isAtLeast: true, arithmetic };
}

/** Less is lost, or as little and for sure. */
function isBetter(one: Loss, other: Loss): boolean {
  if (lossOf(one) !== lossOf(other)) return lossOf(one) < lossOf(other);
  return other.isAtLeast && !one.isAtLeast;
}

const lossOf = ({ lossMs }: Loss): number => (lossMs === 'all' ? Infinity : lossMs);

/** A journal goes where backups go, not where copies go. */
function byJournal(component: Component, scenario: Scenario, { repository, by }: Way): Loss | undefined {
  if (component.type !== 'postgres' || component.journal === undefined || component.method === 'logical')
    return undefined;
  if (by === 'copy') return undefined;
  const { intervalMs, from } = component.journal;
  if (scenario === 'deletion' || scenario === 'corruption') {
    const arithmetic = 'the journal leads to any instant before it: nothing of before is lost';
    return { lossMs: 0, isAtLeast: false, repository, by: 'journal', arithmetic };
  }
  const isPushed = from === 'push';
  const arithmetic = isPushed
    ? `changes reach ${repository} file by file, when the server has filled one: what is in the last one is lost`
    : `changes reach ${repository} every ${words(intervalMs)}: that and the time to send them may be lost`;
  return { lossMs: isPushed ? 0 : intervalMs, isAtLeast: true, repository, by: 'journal', arithmetic };
}

function bySnapshot({ repository, by, worst, isMeasured, lastsMs }: Way): Loss {
  const what = by === 'backup' ? 'backups' : 'copies';
  if (worst === undefined) {
    const arithmetic = `${what} come only on demand: any amount may be lost`;
    return { lossMs: 'all', isAtLeast: false, repository, by, arithmetic };
  }
  const lasts = lastsMs === undefined ? '' : ` and take up to ${words(lastsMs)}`;
  const rest = isMeasured ? '' : `, and what comes while one runs,`;
  const arithmetic = `${what} to ${repository} are up to ${words(worst.apartMs)} apart${lasts}: up to ${words(worst.ageMs)}${rest} may be lost`;
  return { lossMs: worst.ageMs, isAtLeast: !isMeasured, repository, by, arithmetic };
}
