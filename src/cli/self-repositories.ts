// Which repositories hold the state of the service.
import type { Application } from '../model/application.ts';
import type { RepositorySettings } from '../model/repository-settings.ts';
import type { CommandContext } from './context.ts';
import { withoutArchives } from './repository-choice.ts';

/** The one that `--repository` names, else those that the configuration says, or all of it. */
export async function selfRepositories(
  context: CommandContext,
  { selfBackup, repositories }: Application,
): Promise<readonly RepositorySettings[]> {
  if (context.named.repository !== undefined) return withoutArchives(await context.chosenRepositories());
  return selfBackup === undefined
    ? repositories.filter(({ archive }) => archive === undefined)
    : repositories.filter(({ name }) => selfBackup.repositories.includes(name));
}
