// What can happen to an application and its backups, as far as it matters which of them are left.
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

/**
 * Whether the backups of a repository are there afterwards. Where lifeboat.yaml does not say: a folder goes with its machine,
 * a bucket is taken to be at another site, and nothing is taken to be out of the reach of whoever holds its credentials.
 */
export function outlives({ location, survives }: RepositorySettings, scenario: Scenario): boolean {
  if (scenario === 'deletion' || scenario === 'corruption') return true;
  if (survives !== undefined) return survives.includes(scenario);
  return location.includes('://') && !location.startsWith('file:') && scenario !== 'ransomware';
}
