// `service backup`: the state of the service into the repositories of its applications, so that a new machine can go on with it.
import { hostname } from 'node:os';
import { join, resolve } from 'node:path';
import { auditKeyFile } from '../../access/audit-key.ts';
import { count } from '../../base/count.ts';
import { isAppError } from '../../base/errors.ts';
import type { Catalog } from '../../catalog/catalog.ts';
import { saveSelfBackup, serviceRow } from '../../catalog/service-self.ts';
import { completeSelfBackup, selfComponent, selfTag } from '../../model/self-backup.ts';
import { backup, type BackupResult } from '../../operations/backup/backup.ts';
import type { RepositorySettings } from '../../model/repository-settings.ts';
import { filesVersion } from '../../service/file-version.ts';
import { readSigns, refuseReplaced } from '../../service/state/sign.ts';
import { stateSource } from '../../service/state/state-source.ts';
import { defineCommand } from '../command.ts';
import { requireConfiguration } from '../component-choice.ts';
import type { CommandContext, OpenedRepository } from '../context.ts';
import { failureOf } from '../failure.ts';
import { listArgument, switchOption } from '../option.ts';
import { decideRetentionOf, forgetShown } from '../retention-run.ts';
import { selfRepositories } from '../self-repositories.ts';
import { bytes, shortId, wrap, type Style } from '../style.ts';

interface StateBackup {
  readonly repository: string;
  readonly snapshot?: string;
  readonly totalBytes?: number;
  readonly storedBytes?: number;
  /** Earlier ones that its retention no longer keeps. */
  readonly removed?: number;
  /** What is not in it, or was not done besides. */
  readonly problems: readonly string[];
  readonly error?: {
    readonly code: string;
    readonly message: string;
    readonly hint: string;
    readonly exitCode: number;
  };
}

export interface ServiceBackupData {
  readonly isDryRun: boolean;
  readonly configurations: readonly string[];
  readonly backups: readonly StateBackup[];
}

export const serviceBackupCommand = defineCommand({
  summary: 'Back up the state of the server: history, tokens, users, configuration',
  details:
    'A server does so by itself, once a day and after each change of its lifeboat.yaml, unless that says otherwise (service.selfBackup). Of secrets the backup holds what the state holds: hashes of tokens and passwords; and lifeboat.yaml as it is written. Sessions are left out.',
  examples: ['lifeboat service backup', 'lifeboat service backup shop.yaml crm.yaml --repository offsite'],
  arguments: {
    configurations: listArgument(
      '[config...]',
      'lifeboat.yaml of each application of the server, as the server was given them; the usual one if absent',
    ),
  },
  options: { isDryRun: switchOption('--dry-run', 'show what would be backed up, and do nothing') },
  isLong: true,
  async run(context, { configurations: named, isDryRun }): Promise<ServiceBackupData> {
    const { application, path } = await requireConfiguration(context);
    const configurations =
      named.length === 0 ? [path ?? []].flat() : named.map((one) => resolve(context.workingFolder, one));
    const repositories = await selfRepositories(context, application);
    if (isDryRun) {
      return {
        isDryRun,
        configurations,
        backups: repositories.map(({ name: repository }) => ({ repository, problems: [] })),
      };
    }
    await using catalog = await context.openCatalog();
    const backups: StateBackup[] = [];
    for (const settings of repositories) {
      try {
        backups.push(await backUpState(context, { catalog, settings, configurations }));
      } catch (error) {
        context.signal.throwIfAborted();
        if (repositories.length === 1 || !isAppError(error)) throw error;
        const { code, message, hint, exitCode } = failureOf(error);
        backups.push({ repository: settings.name, problems: [], error: { code, message, hint, exitCode } });
      }
    }
    return { isDryRun, configurations, backups };
  },
  render: renderBackups,
  exitCode({ backups }) {
    const failed = backups.find(({ error }) => error !== undefined);
    if (failed?.error !== undefined) return failed.error.exitCode;
    return backups.some(({ problems }) => problems.length > 0) ? 3 : 0;
  },
});

interface StateWork {
  readonly catalog: Catalog;
  readonly settings: RepositorySettings;
  readonly configurations: readonly string[];
}

async function backUpState(context: CommandContext, work: StateWork): Promise<StateBackup> {
  const { catalog, settings, configurations } = work;
  const { application } = await requireConfiguration(context);
  const identity = await serviceRow(catalog);
  await using opened = await context.openRepository(settings, 'write');
  refuseReplaced(await readSigns(opened.repository, identity.service, context.signal), identity.generation);
  // Before they are read: what changes meanwhile is seen to have changed.
  const version = await filesVersion(await withTemplates(context, configurations));
  const { snapshot, problems, totalBytes, storedBytes } = await writeState(context, opened, work);
  const { name: repository } = settings;
  await saveSelfBackup(catalog, { application: application.name, repository, version, snapshot: snapshot.id });
  const told = problems.map(({ path, message }) => `${path}: ${message}`);
  const removed = await removeOld(context, opened).catch((error: unknown) => {
    context.signal.throwIfAborted();
    if (!isAppError(error)) throw error;
    told.push(`earlier ones stay: ${error.message}`);
    return 0;
  });
  return { repository, snapshot: snapshot.id, totalBytes, storedBytes, removed, problems: told };
}

/** As the server names them: each file, then its template. */
async function withTemplates(context: CommandContext, paths: readonly string[]): Promise<string[]> {
  const described = await Promise.all(paths.map((path) => context.describeConfiguration(path)));
  return [...new Set(paths.flatMap((path, index) => [path, described[index]?.template ?? []].flat()))];
}

async function writeState(
  context: CommandContext,
  { repository, settings }: OpenedRepository,
  { catalog, configurations }: StateWork,
): Promise<BackupResult> {
  const { signal, programVersion, stateFolder, clock } = context;
  const { application } = await requireConfiguration(context);
  const source = stateSource({
    catalog,
    configurations,
    readConfigurationFile: (path) => context.readConfigurationFile(path),
    describeConfiguration: (path) => context.describeConfiguration(path),
    auditKeyFile: join(stateFolder, auditKeyFile),
    clock,
    host: hostname(),
    program: `lifeboat ${programVersion}`,
  });
  return backup(repository, source, {
    component: selfComponent,
    host: application.name,
    tags: [selfTag],
    packTargetBytes: settings.packSizeBytes,
    lockWaitMs: context.settings.lockWaitMs,
    programVersion,
    signal,
  });
}

/** Returns how many. Their space comes back with the next removal of what policies no longer keep. */
async function removeOld(context: CommandContext, { repository }: OpenedRepository): Promise<number> {
  const { application } = await requireConfiguration(context);
  const retention = (application.selfBackup ?? completeSelfBackup({}, []))?.retention;
  const request = {
    host: application.name,
    forgetProven: false,
    policyOf: (component: string | undefined) => (component === selfComponent ? retention : undefined),
  };
  const shown = await decideRetentionOf(repository, request, context);
  if (shown.every(({ keep }) => keep)) return 0;
  const outcome = await forgetShown(repository, { shown, request }, context);
  return outcome.filter(({ keep }) => !keep).length;
}

function renderBackups({ isDryRun, configurations, backups }: ServiceBackupData, style: Style): string {
  const lines = configurations.map((path) => `with ${path}`);
  for (const { repository, snapshot, totalBytes = 0, storedBytes = 0, removed = 0, problems, error } of backups) {
    if (isDryRun) lines.push(`would back up the state of the server to ${repository}`);
    else if (snapshot === undefined) {
      lines.push(
        ...wrap(`${style.paint('red', 'failed')} to ${repository}: ${error?.message ?? ''}`, style.widthColumns),
      );
      lines.push(...wrap(`hint: ${error?.hint ?? ''}`, style.widthColumns));
    } else {
      const gone = removed === 0 ? '' : `; ${count(removed, 'earlier one')} removed`;
      const done = `${style.paint('green', 'backed up')} the state of the server to ${repository}`;
      const size = `${bytes(totalBytes)}, ${bytes(storedBytes)} of it new`;
      lines.push(...wrap(`${done} as snapshot ${shortId(snapshot)}: ${size}${gone}`, style.widthColumns));
    }
    lines.push(...problems.flatMap((problem) => wrap(`warning: ${problem}`, style.widthColumns)));
  }
  return [...lines, ...(isDryRun ? ['nothing was done: --dry-run'] : [])].join('\n');
}
