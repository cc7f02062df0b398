// The component whose standby a command is about: its source, its folders on this machine, and the repository that it follows.
import { join } from 'node:path';
import { AppError, isAppError } from '../base/errors.ts';
import type { Component } from '../model/component.ts';
import { readStandbyRecord } from '../operations/standby/standby-record.ts';
import { loadSnapshots } from '../repository/snapshot.ts';
import { isStandbySource, type StandbySource } from '../sources/standby.ts';
import { chooseComponents, requireConfiguration } from './component-choice.ts';
import type { CommandContext, OpenedRepository } from './context.ts';
import { ofApplication } from './journal-reach.ts';

export interface StandbySubject {
  readonly application: string;
  readonly component: Component;
  readonly source: StandbySource;
  /** Where it tells of itself. */
  readonly recordFolder: string;
  /** Where its copy lies if nobody says where else: where it was kept before, if it was. */
  readonly defaultFolder: string;
}

export function standbyRecordFolder(context: CommandContext, application: string, component: string): string {
  return join(context.stateFolder, application, component, 'standby');
}

/** Rejects with `USAGE` if there can be none. */
export async function standbySubject(context: CommandContext, name: string): Promise<StandbySubject> {
  const { application } = await requireConfiguration(context);
  const [component] = chooseComponents(application, [name]);
  if (component === undefined) throw new Error('a component was chosen');
  const source = await context.sourceOf(component);
  if (!isStandbySource(source)) {
    throw new AppError('USAGE', `${name} is of the kind ${source.kind}, which has no standby`, {
      hint: 'Name a PostgreSQL component.',
    });
  }
  const recordFolder = standbyRecordFolder(context, application.name, name);
  const before = (await readStandbyRecord(recordFolder))?.folder;
  const defaultFolder = before ?? join(context.stateFolder, application.name, name, 'standby-server');
  return { application: application.name, component, source, recordFolder, defaultFolder };
}

/** The one that it followed before, else the first that has a backup of it. */
export async function standbyRepositoryOf(
  context: CommandContext,
  { application, component, recordFolder }: StandbySubject,
): Promise<OpenedRepository> {
  const chosen = await context.chosenRepositories();
  const targets = new Set(component.policy.targets.map(({ repository }) => repository));
  const before = (await readStandbyRecord(recordFolder))?.repository;
  const wanted = chosen.length === 1 ? chosen : chosen.filter(({ name }) => targets.has(name));
  const ordered = wanted.toSorted((left, right) => Number(right.name === before) - Number(left.name === before));
  let failure: AppError | undefined;
  for (const settings of ordered) {
    try {
      const opened = await context.openRepository(settings, 'uncached');
      const snapshots = await loadSnapshots(opened.repository, context.signal, () => undefined);
      if (ofApplication(snapshots, { component: component.name, application }).length > 0) return opened;
      await opened[Symbol.asyncDispose]();
    } catch (error) {
      context.signal.throwIfAborted();
      if (!isAppError(error)) throw error;
      failure ??= error;
    }
  }
  throw (
    failure ??
    new AppError('NOT_FOUND', `no repository has a backup of ${component.name}`, {
      hint: `Take one with 'lifeboat backup ${component.name}', with the method physical.`,
    })
  );
}
