// What a server is told for a recovery, and what is taken out of its own settings. Everything that leads elsewhere (archives,
// primaries, libraries, sockets of the original) is overruled on its command line, so that nothing of it is left afterwards.
import { formatLsn } from '../wal/lsn.ts';
import type { ControlFile } from '../wal/control-file.ts';
import { minWalSize } from '../wal/segment-name.ts';
import type { Stop } from './locate-target.ts';

/** Where a server keeps what `ALTER SYSTEM` set; it beats the configuration file. */
export const ownSettingsFile = 'postgresql.auto.conf';

const ofRecovery = /^(?:recovery_\w+|restore_command|archive_cleanup_command|promote_trigger_file|standby_mode)$/i;

/** Takes settings of an earlier recovery out; comments and all else stay as they are. */
export function withoutRecoverySettings(text: string): string {
  return text
    .split('\n')
    .filter((line) => !ofRecovery.test(/^\s*(\w+)\s*(?:=|\s)/.exec(line)?.[1] ?? ''))
    .join('\n');
}

/** Adds lines at the end, where they win. */
export function withSettings(text: string, settings: readonly (readonly [string, string])[]): string {
  const lines = settings.map(
    ([name, value]) => `${name} = '${value.replaceAll("'", "''").replaceAll('\\', '\\\\')}'\n`,
  );
  return `${text}${text === '' || text.endsWith('\n') ? '' : '\n'}${lines.join('')}`;
}

export interface RecoveryAim {
  readonly timeline: number;
  readonly stop: Stop;
  readonly action: 'promote' | 'pause' | 'shutdown';
  readonly command: string;
}

/** The target as the server takes it: always a position of the log, and always one timeline by its number. */
export function targetSettings({ timeline, stop, action, command }: RecoveryAim): (readonly [string, string])[] {
  const settings: (readonly [string, string])[] = [
    ['restore_command', command],
    ['recovery_target_timeline', String(timeline)],
  ];
  if (stop.kind === 'base') return settings;
  return [
    ...settings,
    ['recovery_target_lsn', formatLsn(stop.lsn)],
    ['recovery_target_inclusive', stop.isInclusive ? 'on' : 'off'],
    ['recovery_target_action', action],
  ];
}

export interface PrivatePlaces {
  readonly configFile: string;
  readonly accessFile: string;
  readonly namesFile: string;
  readonly socketFolder: string;
  readonly port: number;
}

/** Of a server that only recovers: it listens on a socket that nobody else reaches, and sends nothing anywhere. */
export function privateSettings(
  control: ControlFile,
  places: PrivatePlaces,
  { isReadable }: { readonly isReadable: boolean },
): (readonly [string, string])[] {
  const { limits, major } = control;
  return [
    ['config_file', places.configFile],
    ['hba_file', places.accessFile],
    ['ident_file', places.namesFile],
    ['listen_addresses', ''],
    ['port', String(places.port)],
    ['unix_socket_directories', places.socketFolder],
    ['external_pid_file', ''],
    ['ssl', 'off'],
    ['shared_preload_libraries', ''],
    ['huge_pages', 'try'],
    ['shared_buffers', '256MB'],
    ['max_wal_size', '4GB'],
    ['min_wal_size', minWalSize(control.segmentBytes)],
    ['checkpoint_timeout', '30min'],
    ['autovacuum', 'off'],
    // Once promoted, it must not subscribe to anything either.
    ['max_logical_replication_workers', '0'],
    ['archive_mode', 'off'],
    ['archive_cleanup_command', ''],
    ['recovery_end_command', ''],
    ['recovery_min_apply_delay', '0'],
    ['primary_conninfo', ''],
    ['primary_slot_name', ''],
    ['synchronous_standby_names', ''],
    ['restart_after_crash', 'off'],
    ['hot_standby', isReadable ? 'on' : 'off'],
    ['wal_level', control.walLevel],
    ['track_commit_timestamp', control.tracksCommitTimes ? 'on' : 'off'],
    ...Object.entries(limits).map(([name, value]) => [name, String(value)] as const),
    ['logging_collector', 'off'],
    ['log_destination', 'stderr'],
    ['log_line_prefix', ''],
    ['log_min_messages', 'warning'],
    ['log_error_verbosity', 'default'],
    ['log_timezone', 'UTC'],
    ['lc_messages', 'C'],
    ...(major >= 15 ? [['log_startup_progress_interval', '500ms'] as const] : []),
    ...(major >= 15 ? [] : [['stats_temp_directory', 'pg_stat_tmp'] as const]),
  ];
}

/** Nothing that the original runs when somebody connects may run when we do. */
export function quietSettings(major: number): (readonly [string, string])[] {
  return [
    ['session_preload_libraries', ''],
    ['local_preload_libraries', ''],
    ...(major >= 17 ? [['event_triggers', 'off'] as const] : []),
  ];
}
