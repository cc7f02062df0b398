// Which repository a command works on: one of lifeboat.yaml by its name, or any place by its location.
import { resolve } from 'node:path';
import { AppError } from '../base/errors.ts';
import { monthNamed } from '../model/archive.ts';
import { repositorySchema, type RepositorySettings } from '../model/repository-settings.ts';
import { bucketLocation, withStore } from './defaults.ts';
import type { Environment } from './environment.ts';
import { nearestOf } from './nearest.ts';

/** `named` comes from `--repository` or LIFEBOAT_REPOSITORY; without it, the first one of lifeboat.yaml, else the bucket of the variables. */
export function chooseRepository(
  named: string | undefined,
  repositories: readonly RepositorySettings[],
  environment: Environment,
): RepositorySettings {
  if (named === undefined) {
    const bucket = bucketLocation(environment);
    if (repositories[0] !== undefined) return repositories[0];
    if (bucket !== undefined) return { ...repositoryAt(bucket, [], environment), name: 's3' };
    throw new AppError('CONFIG_MISSING', 'no repository is named', {
      hint: "Name one with --repository, LIFEBOAT_REPOSITORY or S3_BACKUP_BUCKET, or write a lifeboat.yaml with 'lifeboat init'.",
    });
  }
  const month = monthNamed(named, repositories);
  if (month !== undefined) return month;
  const place = named.includes('/') && !named.includes('://') ? resolve(environment.workingFolder, named) : named;
  const known = repositories.find(({ name, location }) => name === named || location === place);
  return known ?? repositoryAt(named, repositories, environment);
}

function repositoryAt(
  text: string,
  repositories: readonly RepositorySettings[],
  environment: Environment,
): RepositorySettings {
  // A bare word is a mistyped name far more often than a folder; `./word` says folder.
  if (!/[/\\]/.test(text)) {
    const names = repositories.map(({ name }) => name);
    const nearest = nearestOf(text, names);
    const where = names.length === 0 ? 'no lifeboat.yaml names any' : `lifeboat.yaml names ${names.join(', ')}`;
    throw new AppError('NOT_FOUND', `there is no repository '${text}': ${where}`, {
      hint: nearest === undefined ? `Write './${text}' if it is a folder.` : `Use '${nearest}', if that is meant.`,
    });
  }
  const parsed = repositorySchema.safeParse({ location: text });
  if (!parsed.success) {
    throw new AppError('USAGE', `'${text}' is no location`, { hint: 'Give a folder, or s3://bucket/prefix.' });
  }
  const location = text.includes('://') ? text : resolve(environment.workingFolder, text);
  return { ...withStore(parsed.data, location, environment), name: text, location };
}
