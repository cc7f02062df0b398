// An archive: a place with a repository of its own for each month, so that a bucket may expire whole months. What is at the place itself
// holds the keys that each month begins with, and no backups.
import type { RepositorySettings } from './repository-settings.ts';

/** `2026-11`. */
export type Month = `${number}-${number}`;

const isMonth = (text: string): text is Month => /^\d{4}-(?:0[1-9]|1[0-2])$/.test(text);

/** In UTC, on every machine the same. */
export const monthAt = (ms: number): Month => new Date(ms).toISOString().slice(0, 7) as Month;

/** Newest first. */
export function monthsBefore(ms: number, count: number): Month[] {
  const now = new Date(ms);
  return Array.from({ length: count }, (_, back) =>
    monthAt(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() - back, 1)),
  );
}

/** The repository of one month. It is a place like others. */
export function monthOf(archive: RepositorySettings, month: Month): RepositorySettings {
  const [address = '', ...parameters] = archive.location.split('?');
  const location = [`${address.replace(/\/+$/, '')}/${month}`, ...parameters].join('?');
  return { ...archive, name: `${archive.name}/${month}`, location, archive: undefined, partOf: archive };
}

/** The month that a repository of an archive is of, by its name. */
export function monthIn({ name }: RepositorySettings, archive: RepositorySettings): Month | undefined {
  const month = name.slice(archive.name.length + 1);
  return archive.archive !== undefined && isMonth(month) ? month : undefined;
}

/** `archive/2026-11`: the month of the archive that has this name. */
export function monthNamed(named: string, repositories: readonly RepositorySettings[]): RepositorySettings | undefined {
  const at = named.lastIndexOf('/');
  const [name, month] = [named.slice(0, Math.max(at, 0)), named.slice(at + 1)];
  const archive = repositories.find((each) => each.name === name);
  return archive?.archive === undefined || !isMonth(month) ? undefined : monthOf(archive, month);
}
