// How long it takes until data that a bucket moved to an archive class can be read again.
import { dayMs, hourMs } from '../base/duration.ts';
import type { RepositorySettings } from './repository-settings.ts';

/** What AWS names as the longest of the tier that `lifeboat storage thaw` asks for where none is named. */
export const thawMaxMs = 5 * hourMs;

/** From when on data packs don't answer; undefined where they always do. By what lifeboat.yaml says of the bucket. */
export const sleepsAfterMs = ({ archive, s3 }: RepositorySettings): number | undefined => {
  const days = archive === undefined ? undefined : s3?.bucket?.archiveAfterDays;
  return days === undefined ? undefined : days * dayMs;
};

/** What the newest backup there costs at worst: it grows as old as backups are apart, before the next one comes. */
export function thawMsOf(settings: RepositorySettings, apartMs: number | undefined): number {
  const afterMs = sleepsAfterMs(settings);
  return afterMs === undefined || (apartMs ?? Infinity) <= afterMs ? 0 : thawMaxMs;
}
