// All commands by name. Each is loaded when it is named; the order is that of the help.
import type { AnyCommand } from './command.ts';

interface SingleEntry {
  readonly name: string;
  readonly isHidden?: boolean;
  load(): Promise<AnyCommand>;
  /** Of a command that does something by itself, and has others below it. */
  readonly commands?: readonly SingleEntry[];
}

interface GroupEntry {
  readonly name: string;
  readonly isHidden?: boolean;
  readonly summary: string;
  readonly commands: readonly SingleEntry[];
}

export type CommandEntry = SingleEntry | GroupEntry;

export function isGroup(entry: CommandEntry): entry is GroupEntry {
  return !('load' in entry);
}

export const commandTable: readonly CommandEntry[] = [
  { name: 'start', load: async () => (await import('./commands/start.ts')).startCommand },
  { name: 'init', load: async () => (await import('./commands/init.ts')).initCommand },
  { name: 'status', load: async () => (await import('./commands/status.ts')).statusCommand },
  { name: 'window', load: async () => (await import('./commands/window.ts')).windowCommand },
  {
    name: 'schedule',
    load: async () => (await import('./commands/schedule.ts')).scheduleCommand,
    commands: [
      { name: 'pause', load: async () => (await import('./commands/schedule-pause.ts')).schedulePauseCommand },
      { name: 'resume', load: async () => (await import('./commands/schedule-resume.ts')).scheduleResumeCommand },
    ],
  },
  { name: 'check', load: async () => (await import('./commands/check.ts')).checkCommand },
  { name: 'doctor', load: async () => (await import('./commands/doctor.ts')).doctorCommand },
  { name: 'probe', load: async () => (await import('./commands/probe.ts')).probeCommand },
  { name: 'warm-up', load: async () => (await import('./commands/warm-up.ts')).warmUpCommand },
  { name: 'backup', load: async () => (await import('./commands/backup.ts')).backupCommand },
  { name: 'snapshots', load: async () => (await import('./commands/snapshots.ts')).snapshotsCommand },
  { name: 'ls', load: async () => (await import('./commands/ls.ts')).lsCommand },
  { name: 'find', load: async () => (await import('./commands/find.ts')).findCommand },
  { name: 'diff', load: async () => (await import('./commands/diff.ts')).diffCommand },
  { name: 'tag', load: async () => (await import('./commands/tag.ts')).tagCommand },
  { name: 'copy', load: async () => (await import('./commands/copy.ts')).copyCommand },
  { name: 'dump', load: async () => (await import('./commands/dump.ts')).dumpCommand },
  { name: 'restore', load: async () => (await import('./commands/restore.ts')).restoreCommand },
  { name: 'restore-all', load: async () => (await import('./commands/restore-all.ts')).restoreAllCommand },
  { name: 'prove', load: async () => (await import('./commands/prove.ts')).proveCommand },
  { name: 'verify', load: async () => (await import('./commands/verify.ts')).verifyCommand },
  { name: 'retention', load: async () => (await import('./commands/retention.ts')).retentionCommand },
  { name: 'server', load: async () => (await import('./commands/server.ts')).serverCommand },
  {
    name: 'availability',
    load: async () => (await import('./commands/availability.ts')).availabilityCommand,
  },
  { name: 'workers', load: async () => (await import('./commands/workers.ts')).workersCommand },
  { name: 'worker', load: async () => (await import('./commands/worker.ts')).workerCommand },
  {
    name: 'service',
    summary: 'Keep the server running, back up its state, and make it anew elsewhere',
    commands: [
      { name: 'install', load: async () => (await import('./commands/service-install.ts')).serviceInstallCommand },
      {
        name: 'uninstall',
        load: async () => (await import('./commands/service-uninstall.ts')).serviceUninstallCommand,
      },
      { name: 'backup', load: async () => (await import('./commands/service-backup.ts')).serviceBackupCommand },
      { name: 'recover', load: async () => (await import('./commands/service-recover.ts')).serviceRecoverCommand },
      { name: 'sign', load: async () => (await import('./commands/service-sign.ts')).serviceSignCommand },
    ],
  },
  {
    name: 'runs',
    summary: 'Look at the jobs of the service, start and cancel them',
    commands: [
      { name: 'list', load: async () => (await import('./commands/runs-list.ts')).runsListCommand },
      { name: 'show', load: async () => (await import('./commands/runs-show.ts')).runsShowCommand },
      { name: 'start', load: async () => (await import('./commands/runs-start.ts')).runsStartCommand },
      { name: 'approve', load: async () => (await import('./commands/runs-approve.ts')).runsApproveCommand },
      { name: 'cancel', load: async () => (await import('./commands/runs-cancel.ts')).runsCancelCommand },
    ],
  },
  {
    name: 'postgres',
    summary: 'Look into the past of a PostgreSQL server, and keep a standby of it',
    commands: [
      { name: 'open', load: async () => (await import('./commands/postgres-open.ts')).postgresOpenCommand },
      { name: 'extract', load: async () => (await import('./commands/postgres-extract.ts')).postgresExtractCommand },
      { name: 'diff', load: async () => (await import('./commands/postgres-diff.ts')).postgresDiffCommand },
      { name: 'bisect', load: async () => (await import('./commands/postgres-bisect.ts')).postgresBisectCommand },
      { name: 'standby', load: async () => (await import('./commands/postgres-standby.ts')).postgresStandbyCommand },
      { name: 'promote', load: async () => (await import('./commands/postgres-promote.ts')).postgresPromoteCommand },
    ],
  },
  {
    name: 'journal',
    summary: 'Receive changes as they happen, for recovery to any instant',
    commands: [
      { name: 'run', load: async () => (await import('./commands/journal-run.ts')).journalRunCommand },
      { name: 'status', load: async () => (await import('./commands/journal-status.ts')).journalStatusCommand },
      { name: 'gaps', load: async () => (await import('./commands/journal-gaps.ts')).journalGapsCommand },
      { name: 'push', load: async () => (await import('./commands/journal-push.ts')).journalPushCommand },
    ],
  },
  {
    name: 'storage',
    summary: 'Look after the places where repositories are',
    commands: [
      { name: 'setup', load: async () => (await import('./commands/storage-setup.ts')).storageSetupCommand },
      { name: 'policy', load: async () => (await import('./commands/storage-policy.ts')).storagePolicyCommand },
      { name: 'thaw', load: async () => (await import('./commands/storage-thaw.ts')).storageThawCommand },
      { name: 'test', load: async () => (await import('./commands/storage-test.ts')).storageTestCommand },
    ],
  },
  {
    name: 'repository',
    summary: 'Create and look after repositories',
    commands: [
      { name: 'init', load: async () => (await import('./commands/repository-init.ts')).repositoryInitCommand },
      { name: 'keys', load: async () => (await import('./commands/repository-keys.ts')).repositoryKeysCommand },
      { name: 'kit', load: async () => (await import('./commands/repository-kit.ts')).repositoryKitCommand },
      { name: 'verify', load: async () => (await import('./commands/verify.ts')).verifyCommand },
      { name: 'stats', load: async () => (await import('./commands/repository-stats.ts')).repositoryStatsCommand },
      { name: 'forget', load: async () => (await import('./commands/repository-forget.ts')).repositoryForgetCommand },
      { name: 'prune', load: async () => (await import('./commands/repository-prune.ts')).repositoryPruneCommand },
      {
        name: 'rebuild-index',
        load: async () => (await import('./commands/repository-rebuild-index.ts')).repositoryRebuildIndexCommand,
      },
      { name: 'unlock', load: async () => (await import('./commands/repository-unlock.ts')).repositoryUnlockCommand },
    ],
  },
  {
    name: 'alerts',
    summary: 'Tell people when something is wrong',
    commands: [
      { name: 'list', load: async () => (await import('./commands/alerts-list.ts')).alertsListCommand },
      { name: 'show', load: async () => (await import('./commands/alerts-show.ts')).alertsShowCommand },
      {
        name: 'acknowledge',
        load: async () => (await import('./commands/alerts-acknowledge.ts')).alertsAcknowledgeCommand,
      },
      { name: 'resolve', load: async () => (await import('./commands/alerts-resolve.ts')).alertsResolveCommand },
      { name: 'silence', load: async () => (await import('./commands/alerts-silence.ts')).alertsSilenceCommand },
      { name: 'silences', load: async () => (await import('./commands/alerts-silences.ts')).alertsSilencesCommand },
      { name: 'unsilence', load: async () => (await import('./commands/alerts-unsilence.ts')).alertsUnsilenceCommand },
      { name: 'test', load: async () => (await import('./commands/alerts-test.ts')).alertsTestCommand },
    ],
  },
  {
    name: 'anomalies',
    summary: 'Backups that are unlike those before them',
    commands: [
      { name: 'list', load: async () => (await import('./commands/anomalies-list.ts')).anomaliesListCommand },
      { name: 'accept', load: async () => (await import('./commands/anomalies-accept.ts')).anomaliesAcceptCommand },
    ],
  },
  {
    name: 'token',
    summary: 'Keys for programs that use the API',
    commands: [
      { name: 'create', load: async () => (await import('./commands/token-create.ts')).tokenCreateCommand },
      { name: 'list', load: async () => (await import('./commands/token-list.ts')).tokenListCommand },
      { name: 'revoke', load: async () => (await import('./commands/token-revoke.ts')).tokenRevokeCommand },
    ],
  },
  {
    name: 'user',
    summary: 'Who may use API and dashboard, and for what',
    commands: [
      { name: 'create', load: async () => (await import('./commands/user-create.ts')).userCreateCommand },
      { name: 'list', load: async () => (await import('./commands/user-list.ts')).userListCommand },
      { name: 'set-role', load: async () => (await import('./commands/user-set-role.ts')).userSetRoleCommand },
      {
        name: 'set-password',
        load: async () => (await import('./commands/user-set-password.ts')).userSetPasswordCommand,
      },
      { name: 'disable', load: async () => (await import('./commands/user-disable.ts')).userDisableCommand },
      { name: 'remove', load: async () => (await import('./commands/user-remove.ts')).userRemoveCommand },
    ],
  },
  {
    name: 'audit',
    summary: 'The log of who did what',
    commands: [
      { name: 'list', load: async () => (await import('./commands/audit-list.ts')).auditListCommand },
      { name: 'verify', load: async () => (await import('./commands/audit-verify.ts')).auditVerifyCommand },
    ],
  },
];
