// Can the objectives be kept by what the policies do? Worst cases by arithmetic alone: how far backups and copies are apart
// over a year with its clock changes, how long they take, which repositories are left after what happened. What nobody
// measured counts as nothing, so that a loss is then `at least`: a contradiction is one whatever will be measured.
import type { Application } from './application.ts';
import { arrivalsByRun } from './arrivals.ts';
import type { Component } from './component.ts';
import { exposuresOf, remembered, waysBack, type Exposure, type Planning } from './exposure.ts';
import {
  lossFindings,
  reachFindings,
  recoveryTimeFindings,
  thawFindings,
  unwatchedFindings,
} from './feasibility-findings.ts';
import type { Finding } from './finding.ts';
import { jobsOf } from './job.ts';

export interface FeasibilityInput extends Pick<Planning, 'durationsMs' | 'fromMs'> {
  readonly application: Application;
  /** Those to tell about; what others do counts all the same. */
  readonly components: readonly Component[];
  /** How long restores took, by component, as far as it was measured. */
  readonly restoresMs: ReadonlyMap<string, number>;
  /** Components that a probe tells about; absent where nobody knows. */
  readonly watched?: ReadonlySet<string>;
}

export interface Feasibility {
  /** All components in all scenarios. */
  readonly exposures: readonly Exposure[];
  /** Promises that can't be kept, and retention that is shorter than it has to be. */
  readonly contradictions: readonly Finding[];
}

export function feasibilityOf(input: FeasibilityInput): Feasibility {
  const { application, components, durationsMs, fromMs, restoresMs, watched } = input;
  const planning: Planning = { jobs: jobsOf(application), durationsMs, fromMs, memo: new Map() };
  const plans = components.map((component) => ({ component, ways: waysBack(component, planning) }));
  const exposures = plans.flatMap(({ component, ways }) => exposuresOf(component, ways, application.repositories));
  const names = new Set(components.map(({ name }) => name));
  const reach = plans.flatMap(({ component, ways }) =>
    reachFindings(component, ways, proofsApartMs(component, planning)),
  );
  const contradictions = [
    ...lossFindings(exposures, components),
    ...reach,
    ...recoveryTimeFindings(application.components, restoresMs)
      .filter(({ component }) => names.has(component))
      .map(({ finding }) => finding),
    ...thawFindings(components, { exposures, restoresMs }),
    ...(watched === undefined ? [] : unwatchedFindings(components, watched)),
  ];
  return { exposures, contradictions };
}

/** Undefined where no proof comes by itself. */
function proofsApartMs({ name }: Component, planning: Planning): number | undefined {
  const proof = planning.jobs.find((job) => job.kind === 'proof' && job.component === name);
  if (proof === undefined) return undefined;
  return remembered({ arrivals: arrivalsByRun(proof, planning), jobs: [proof] }, planning)?.apartMs;
}
