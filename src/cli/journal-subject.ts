// The component whose journal a command is about: its source, its folders on this machine, its repositories.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { AppError } from '../base/errors.ts';
import type { Component } from '../model/component.ts';
import { defaultJournalSettings, type JournalSettings } from '../model/journal-settings.ts';
import type { RepositorySettings } from '../model/repository-settings.ts';
import type { JournalSource } from '../sources/journal.ts';
import { chooseComponents, requireConfiguration } from './component-choice.ts';
import type { CommandContext } from './context.ts';
import { withoutArchives } from './repository-choice.ts';

export interface JournalSubject {
  readonly component: string;
  readonly configured: Component;
  readonly application: string;
  /** One receiver at a time for each. */
  readonly family: string;
  readonly source: JournalSource;
  readonly settings: JournalSettings;
  readonly spoolFolder: string;
  readonly incomingFolder: string;
  /** Those of its policy, or the one that was named. */
  readonly repositories: readonly RepositorySettings[];
}

/** Rejects with `USAGE` if its changes can't be received. */
export async function requireJournal(context: CommandContext, name: string): Promise<JournalSubject> {
  const [subject] = await journalSubjects(context, [name]);
  if (subject !== undefined) return subject;
  throw new AppError('USAGE', `the changes of ${name} can't be received as they happen`, {
    hint: 'Name a PostgreSQL component.',
  });
}

/** All that have one; without names only those that lifeboat.yaml gives a `journal`, and those that were received here without one. */
export async function journalSubjects(context: CommandContext, names: readonly string[]): Promise<JournalSubject[]> {
  const { application } = await requireConfiguration(context);
  const chosen = withoutArchives(await context.chosenRepositories());
  const subjects: JournalSubject[] = [];
  for (const component of chooseComponents(application, names)) {
    const settings = settingsOf(component);
    const spoolFolder = spoolFolderOf(context, application.name, component);
    if (names.length === 0 && settings === undefined && !existsSync(spoolFolder)) continue;
    const source = (await context.sourceOf(component)).journal;
    if (source === undefined) continue;
    const targets = new Set(component.policy.targets.map(({ repository }) => repository));
    const repositories = chosen.length === 1 ? chosen : chosen.filter((one) => targets.has(one.name));
    const state = stateFolderOf(context, application.name, component.name);
    subjects.push({
      component: component.name,
      configured: component,
      application: application.name,
      family: `${application.name}/${component.name}`,
      source,
      settings: settings ?? defaultJournalSettings,
      spoolFolder,
      incomingFolder: settings?.incomingFolder ?? join(state, 'incoming'),
      repositories,
    });
  }
  return subjects;
}

/** Where a receiver on this machine would have its spool. */
export function spoolFolderOf(
  context: Pick<CommandContext, 'stateFolder'>,
  application: string,
  component: Component,
): string {
  return settingsOf(component)?.spoolFolder ?? join(stateFolderOf(context, application, component.name), 'spool');
}

function stateFolderOf(
  { stateFolder }: Pick<CommandContext, 'stateFolder'>,
  application: string,
  component: string,
): string {
  return join(stateFolder, application, component);
}

function settingsOf(component: Component): JournalSettings | undefined {
  return component.type === 'postgres' ? component.journal : undefined;
}
