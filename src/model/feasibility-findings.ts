// Contradictions between what is promised and what the policies do, each with its arithmetic and what to do about it.
import { formatAtMost as words } from '../base/duration.ts';
import type { Component } from './component.ts';
import type { Exposure, Way } from './exposure.ts';
import type { Finding } from './finding.ts';
import { retentionIn } from './policy.ts';
import { surelyReachesMs } from './retention-reach.ts';
import { scenarioWords, scenarios, type Scenario } from './scenario.ts';

/** Scenarios that cost a component the same are one contradiction; what outlives nothing is one for all components. */
export function lossFindings(exposures: readonly Exposure[], components: readonly Component[]): Finding[] {
  const broken = exposures.filter(({ verdict }) => verdict === 'broken');
  const outlived = broken.filter(({ repository }) => repository !== undefined);
  const groups = Map.groupBy(outlived, ({ component, arithmetic, objectiveMs }) =>
    JSON.stringify([component, arithmetic, objectiveMs]),
  );
  return [...[...groups.values()].map((group) => lossFinding(group, components)), ...lostFindings(broken)];
}

function lossFinding(group: readonly Exposure[], components: readonly Component[]): Finding {
  const [first] = group;
  const { component = '', arithmetic = '', objectiveMs = 0 } = first ?? {};
  const names = group.map(({ scenario }) => scenarioWords[scenario]);
  // What holds of all that is promised by default needs no list.
  const isGeneral = scenarios.every((each) => each === 'ransomware' || group.some(({ scenario }) => scenario === each));
  const when = isGeneral ? '' : `${names.join(', ')}: `;
  const settings = components.find(({ name }) => name === component);
  return {
    aspect: `objectives of ${component}`,
    outcome: 'warning',
    message: `${when}${arithmetic}; promised is ${words(objectiveMs)}`,
    hint: lossHint(first, settings),
  };
}

function lossHint(exposure: Exposure | undefined, component: Component | undefined): string {
  const objective = words(exposure?.objectiveMs ?? 0);
  if (exposure?.lossMs === 'all') return 'Give its policy a schedule.';
  const mayHaveJournal = component?.type === 'postgres' && component.journal === undefined;
  const journal = mayHaveJournal ? ', receive its journal (journal: {})' : '';
  return exposure?.by === 'copy'
    ? `Copy at least every ${objective}, back up there directly, or promise less for this (scenarios of its objectives).`
    : `Run backups more often than every ${objective}${journal}, or promise less.`;
}

const lostHints: Readonly<Record<Scenario, string>> = {
  deletion: 'Give its policy a repository.',
  corruption: 'Give its policy a repository.',
  host: 'Add a repository outside of this machine.',
  site: 'Add a repository at another site; what a repository outlives is said by its key survives.',
  ransomware:
    'Lock the objects of a repository against deletion (s3.bucket.lock), or say by survives: [host, site, ransomware] that it is protected otherwise.',
};

/** Scenarios that the same components do not outlive are one finding, with what helps against the mildest. */
function lostFindings(broken: readonly Exposure[]): Finding[] {
  const lost = scenarios.map((scenario) => ({
    scenario,
    names: broken
      .filter((exposure) => exposure.scenario === scenario && exposure.repository === undefined)
      .map(({ component }) => component)
      .join(', '),
  }));
  const groups = Map.groupBy(lost, ({ names }) => names);
  return [...groups].flatMap(([names, group]): Finding[] => {
    const [mildest] = group;
    if (names === '' || mildest === undefined) return [];
    return [
      {
        aspect: group.map(({ scenario }) => scenarioWords[scenario]).join(', '),
        outcome: 'warning',
        message: `no repository of ${names} outlives it, so that all may be lost`,
        hint: lostHints[mildest.scenario],
      },
    ];
  });
}

/** Damage is found by a proof at the latest. A backup from before it must be there then. */
export function reachFindings(
  component: Component,
  ways: readonly Way[],
  proofsApartMs: number | undefined,
): Finding[] {
  if (proofsApartMs === undefined) return [];
  const reaches = ways.flatMap(({ repository, worst }) =>
    worst === undefined ? [] : [surelyReachesMs(retentionIn(component.policy, repository) ?? {}, worst.apartMs)],
  );
  const reachMs = Math.max(...reaches);
  if (reaches.length === 0 || reachMs >= proofsApartMs) return [];
  return [
    {
      aspect: `retention of ${component.name}`,
      outcome: 'warning',
      message: `proofs are up to ${words(proofsApartMs)} apart, but backups are surely kept for ${words(reachMs)} only: of damage that a proof finds, no backup from before it may be left`,
      hint: `Prove at least every ${words(Math.max(reachMs, 1000))}, or keep backups longer.`,
    },
  ];
}

/** `lifeboat restore-all` brings components back one after another, P0 first. */
export function recoveryTimeFindings(
  components: readonly Component[],
  restoresMs: ReadonlyMap<string, number>,
): { readonly component: string; readonly finding: Finding }[] {
  const ordered = components.toSorted((left, right) => left.tier.localeCompare(right.tier));
  let beforeMs = 0;
  return ordered.flatMap(({ name, objectives }) => {
    const ownMs = restoresMs.get(name) ?? 0;
    const before = beforeMs;
    beforeMs += ownMs;
    const rtoMs = objectives?.rtoMs;
    if (rtoMs === undefined || beforeMs <= rtoMs) return [];
    const own = ownMs === 0 ? 'its own restore was never measured' : `its own takes ${words(ownMs)}`;
    const sum =
      before === 0
        ? `its restore takes ${words(ownMs)}`
        : `restores before it take ${words(before)}, ${own}: it is back after ${words(beforeMs)}`;
    const hint =
      ownMs > rtoMs
        ? 'Promise more time, or make it smaller.'
        : 'Give it a tier before the others, or promise more time.';
    const message = `${sum}; promised is ${words(rtoMs)}`;
    return [{ component: name, finding: { aspect: `objectives of ${name}`, outcome: 'warning', message, hint } }];
  });
}

/** What a bucket moved to an archive class has to be asked for first; others come back meanwhile. */
export function thawFindings(
  components: readonly Component[],
  {
    exposures,
    restoresMs,
  }: { readonly exposures: readonly Exposure[]; readonly restoresMs: ReadonlyMap<string, number> },
): Finding[] {
  return components.flatMap((component): Finding[] => {
    const { name, objectives } = component;
    const rtoMs = objectives?.rtoMs;
    const waiting = exposures.filter(
      (each) => each.component === name && each.thawMs > 0 && isPromisedIn(component, each.scenario),
    );
    const thawMs = Math.max(...waiting.map((each) => each.thawMs));
    const ownMs = restoresMs.get(name) ?? 0;
    if (rtoMs === undefined || waiting.length === 0 || thawMs + ownMs <= rtoMs) return [];
    const when = waiting.map(({ scenario }) => scenarioWords[scenario]).join(', ');
    const places = [...new Set(waiting.flatMap(({ repository }) => repository ?? []))].join(', ');
    const own =
      ownMs === 0
        ? 'and its restore was never measured'
        : `and its restore ${words(ownMs)}: it is back after ${words(thawMs + ownMs)}`;
    return [
      {
        aspect: `objectives of ${name}`,
        outcome: 'warning',
        message: `${when}: what ${places} holds may lie in GLACIER by then, thawing it takes up to ${words(thawMs)} ${own}; promised is ${words(rtoMs)}`,
        hint: 'Bring backups to a repository that answers at once as well, let archiveAfter be longer than copies are apart, or promise more time.',
      },
    ];
  });
}

/** Of ransomware only what is said. */
function isPromisedIn({ objectives }: Component, scenario: Scenario): boolean {
  const own = objectives?.rpoOfScenario[scenario];
  return own === undefined ? scenario !== 'ransomware' : own !== 'none';
}

/** Without a probe nobody ever hears that it is not kept. */
export function unwatchedFindings(components: readonly Component[], watched: ReadonlySet<string>): Finding[] {
  return components.flatMap(({ name, objectives }): Finding[] => {
    const percent = objectives?.availabilityPercent;
    if (percent === undefined || watched.has(name)) return [];
    return [
      {
        aspect: `objectives of ${name}`,
        outcome: 'warning',
        message: `no probe measures the availability; promised is ${percent}%`,
        hint: `Add a probe with component: ${name}, or leave availability out of its objectives.`,
      },
    ];
  });
}
