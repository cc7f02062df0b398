// One backup of one component into one repository, as commands make it: opened, locked, shown, and its failures named.
import { asError, isAppError } from '../base/errors.ts';
import type { Component } from '../model/component.ts';
import type { RepositorySettings } from '../model/repository-settings.ts';
import { backup, sourceFailure, type BackupOptions, type BackupResult } from '../operations/backup/backup.ts';
import type { BlobIndex } from '../repository/blob-index.ts';
import { judgeBackups, type Anomaly } from './anomaly-notes.ts';
import { expectedSizeBytes } from './backup-estimate.ts';
import type { CommandContext } from './context.ts';

export interface BackupWork {
  readonly component: Component;
  readonly repository: RepositorySettings;
  readonly host: string | undefined;
}

export type BackupWishes = Pick<
  BackupOptions,
  'description' | 'tags' | 'isForced' | 'chunker' | 'type' | 'compressionLevel'
>;

export interface JudgedBackup extends BackupResult {
  /** In what it, or one just before it, is unlike those before. */
  readonly anomalies: readonly Anomaly[];
}

export async function backUp(context: CommandContext, work: BackupWork, wishes: BackupWishes): Promise<JudgedBackup> {
  const { component, host } = work;
  const { signal, progress, programVersion, settings } = context;
  const label = `backup ${component.name}`;
  const source = await context.sourceOf(component);
  await using opened = await context.openRepository(work.repository, 'write');
  const estimate = settings.showsBar
    ? expectedSizeBytes({ source, repository: opened.repository, host, component: component.name, signal })
    : undefined;
  const { description, tags, isForced, chunker, type } = wishes;
  const compressionLevel = wishes.compressionLevel ?? levels[work.repository.compression];
  let index: BlobIndex | undefined;
  try {
    const result = await backup(opened.repository, source, {
      component: component.name,
      ...(host !== undefined && { host }),
      description,
      tags,
      compressionLevel,
      packTargetBytes: work.repository.packSizeBytes,
      chunker,
      isForced,
      type,
      lockWaitMs: settings.lockWaitMs,
      programVersion,
      signal,
      onIndex: (own) => (index = own),
      onProgress: ({ files, bytes: bytesDone, path }) =>
        progress.update({
          work: label,
          bytesDone,
          bytesTotal: estimate?.bytes,
          itemsDone: files,
          item: 'file',
          detail: path,
        }),
    });
    const series = { component: component.name, host: result.snapshot.hostname, index };
    return { ...result, anomalies: await judgeBackups(opened.repository, series, signal) };
  } catch (error) {
    if (isAppError(error) || signal.aborted) throw error;
    throw isWorldly(error) ? sourceFailure(component.name, error) : asError(error);
  } finally {
    estimate?.stop();
  }
}

const levels = { auto: undefined, off: 0, max: 15 } as const;

/** An error of the system or of a server's driver, not one of our own code. */
function isWorldly(error: unknown): boolean {
  return error instanceof Error && 'code' in error && !(error instanceof TypeError);
}
