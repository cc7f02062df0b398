// What `check` can see of others at the same places: repositories of one file that are one, other applications that back up into a repository,
// and those whose server keeps its state there.
import { isAppError } from '../base/errors.ts';
import { selfBackupsOf } from '../catalog/service-self.ts';
import { applicationsSeen } from '../catalog/standings.ts';
import type { Application } from '../model/application.ts';
import type { Finding } from '../model/finding.ts';
import { selfComponent } from '../model/self-backup.ts';
import { componentOf } from '../operations/restore/select-point.ts';
import type { Repository } from '../repository/repository.ts';
import { loadSnapshots } from '../repository/snapshot.ts';
import { sharedWithin, unplacedState } from '../service/shared-places.ts';
import { lookAtCatalog } from '../service/state/place-catalog.ts';
import type { CommandContext } from './context.ts';
import { findingOf } from './repository-findings.ts';

/** Who was not there for longer has left its backups behind, or has another name now. */
const presenceMs = 7 * 86_400_000;
const namesShownMax = 5;

export function placesFindings(application: Application): Finding[] {
  return sharedWithin(application).map((message) => ({
    aspect: 'shared place',
    outcome: 'warning',
    message,
    hint: 'Give each repository a place of its own: what is copied from one to the other lies there once.',
  }));
}

/** Other applications that backed up there lately. */
export async function neighbourFindings(
  repository: Repository,
  application: string,
  { signal, clock }: Pick<CommandContext, 'signal' | 'clock'>,
): Promise<Finding[]> {
  const sinceMs = clock.now() - presenceMs;
  const others = (await loadSnapshots(repository, signal, () => undefined)).filter(
    (snapshot) =>
      snapshot.hostname !== application &&
      (componentOf(snapshot) ?? selfComponent) !== selfComponent &&
      Temporal.Instant.from(snapshot.time).epochMilliseconds > sinceMs,
  );
  const names = [...new Set(others.map(({ hostname }) => hostname))].toSorted();
  if (names.length === 0) return [];
  const shown = names.slice(0, namesShownMax).join(', ') + (names.length > namesShownMax ? ' and others' : '');
  return [
    {
      aspect: 'neighbours',
      outcome: 'warning',
      message: `${shown} back up into it as well: whoever has its password can read the backups of all`,
      hint: 'Give each application a repository and a password of its own, unless all of them are yours.',
    },
  ];
}

/** Where the server of several applications keeps its state here because nothing else was said. */
export async function stateFindings(context: CommandContext, application: Application): Promise<Finding[]> {
  const aspect = 'state of the server';
  try {
    if ((await lookAtCatalog(context.catalogLocation, context.clock)) === 'nothing') return [];
    await using catalog = await context.openCatalog();
    const all = new Set([...(await applicationsSeen(catalog)), application.name]);
    if (all.size < 2 || (await selfBackupsOf(catalog, application.name)).length === 0) return [];
    const message = unplacedState(application, all.size);
    const hint =
      'Name repositories that only you can open as service.selfBackup.repositories, or those that are meant.';
    return message === undefined ? [] : [{ aspect, outcome: 'warning', message, hint }];
  } catch (error) {
    context.signal.throwIfAborted();
    if (!isAppError(error)) throw error;
    return [{ ...findingOf(aspect, error), outcome: 'inconclusive' }];
  }
}
