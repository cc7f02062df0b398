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
    hint: `Name one: --repository ${first.name}.`,
  });
}

export async function openOne(context: CommandContext, access: Access): Promise<OpenedRepository> {
  return context.openRepository(await chooseOne(context, access), access);
}

/** The one that would be changed, which a dry run only reads. */
export async function openToChange(context: CommandContext, isDryRun: boolean): Promise<OpenedRepository> {
  return context.openRepository(await chooseOne(context, 'write'), isDryRun ? 'read' : 'write');
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
