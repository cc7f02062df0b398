// Which repository a command works on.
import { AppError } from '../base/errors.ts';
import type { RepositorySettings } from '../model/repository-settings.ts';
import type { Access, CommandContext, OpenedRepository } from './context.ts';

/**
 * The one that `--repository` names, or the only one of the configuration. Of several, work that only reads takes the
 * first; work that changes something must be told.
 */
export async function chooseOne(context: CommandContext, access: Access): Promise<RepositorySettings> {
  const [first, ...others] = await context.chosenRepositories();
  if (first === undefined) throw noRepository();
  if (others.length === 0 || access === 'read') return first;
  const names = [first, ...others].map(({ name }) => name).join(', ');
  throw new AppError('USAGE', `there are several repositories: ${names}`, {
    hint: `Choose one with -r (--repository), such as -r ${first.name}.`,
  });
}

/**
 * For backups and retention: an archive is filled by copies and emptied by its bucket, and nobody looks for a backup beside its months.
 * Rejects with `USAGE` where nothing else was chosen.
 */
export function withoutArchives(chosen: readonly RepositorySettings[]): readonly RepositorySettings[] {
  const others = chosen.filter(({ archive }) => archive === undefined);
  const [first] = chosen;
  if (others.length > 0 || first === undefined) return others;
  const message = `${first.name} is an archive, which copies fill, and of which the bucket expires whole months`;
  throw new AppError('USAGE', message, {
    hint: `Name another repository; 'lifeboat copy --to ${first.name}' brings backups there.`,
  });
}

export async function openOne(context: CommandContext, access: Access): Promise<OpenedRepository> {
  return context.openRepository(await chooseOne(context, access), access);
}

/** To look at what others change, or would: of an archive what lies beside its months. */
export async function openOneItself(context: CommandContext): Promise<OpenedRepository> {
  return openItself(context, await chooseOne(context, 'read'));
}

/** The one that would be changed, which a dry run only reads: of an archive the place itself both times, not a month of it. */
export async function openToChange(context: CommandContext, isDryRun: boolean): Promise<OpenedRepository> {
  const settings = await chooseOne(context, 'write');
  return isDryRun ? openItself(context, settings) : context.openRepository(settings, 'write');
}

/** To look at: of an archive what lies beside its months. */
export function openItself(context: CommandContext, settings: RepositorySettings): Promise<OpenedRepository> {
  return context.openRepository({ ...settings, archive: undefined }, 'read');
}

/** For work that takes a lock but changes no snapshot: of several, the first will do. */
export async function openFirst(context: CommandContext, access: Access): Promise<OpenedRepository> {
  return context.openRepository(await chooseOne(context, 'read'), access);
}

function noRepository(): AppError {
  return new AppError('CONFIG_MISSING', 'no repository is named', {
    hint: "Name one with --repository, or write a lifeboat.yaml with 'lifeboat init'.",
  });
}
