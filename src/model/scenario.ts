// What can happen to an application and its backups, as far as it matters which of them are left.
import { dayMs } from '../base/duration.ts';
import type { RepositorySettings } from './repository-settings.ts';

/** From the mildest to the worst. */
export const scenarios = ['deletion', 'corruption', 'host', 'site', 'ransomware'] as const;
export type Scenario = (typeof scenarios)[number];

export const scenarioWords: Readonly<Record<Scenario, string>> = {
  deletion: 'deletion',
  corruption: 'corruption',
  host: 'host loss',
  site: 'site loss',
  ransomware: 'ransomware',
};

/** `perhaps`: what the newest backup needs may be older than what is protected. */
export type Survival = 'surely' | 'perhaps' | 'no';

/** A month of an archive takes everything anew, so nothing in it is older. */
const monthMaxMs = 31 * dayMs;

/**
 * Whether the backups of a repository are there afterwards. Where lifeboat.yaml does not say: a folder goes with its machine,
 * a bucket is taken to be at another site, and nothing is taken to be out of the reach of whoever holds its credentials, but what is locked.
 * A lock ends for each object on its own, so many days after it was written, and a backup needs what earlier ones wrote: only where all of it
 * is young enough, it surely is there. `apartMs`: how far backups there are apart.
 */
export function survivalOf(settings: RepositorySettings, scenario: Scenario, apartMs = Infinity): Survival {
  const { location, survives, archive } = settings;
  if (scenario === 'deletion' || scenario === 'corruption') return 'surely';
  if (survives?.includes(scenario) === true) return 'surely';
  const isBucket = location.includes('://') && !location.startsWith('file:');
  if (scenario !== 'ransomware') return isBucket && survives === undefined ? 'surely' : 'no';
  const lockedMs = isBucket ? lockMsOf(settings) : undefined;
  if (lockedMs === undefined) return 'no';
  return archive !== undefined && lockedMs >= monthMaxMs + apartMs ? 'surely' : 'perhaps';
}

/** How long `lock` of the bucket keeps what is written. */
export function lockMsOf({ s3 }: RepositorySettings): number | undefined {
  const days = s3?.bucket?.lockDays;
  return days === undefined ? undefined : days * dayMs;
}

export const outlives = (settings: RepositorySettings, scenario: Scenario): boolean =>
  survivalOf(settings, scenario) === 'surely';
