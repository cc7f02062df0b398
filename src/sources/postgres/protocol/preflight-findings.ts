// Judges whether a server can be backed up physically and its WAL received, and which statement mends what is missing. Pure.
import pg from 'pg';
import type { Finding } from '../../../model/finding.ts';
import { namesStandby } from '../receiver/standby-names.ts';

/** What a server says of itself; undefined what could not be seen. */
export interface ReplicationState {
  readonly version: string;
  readonly major: number;
  readonly isStandby: boolean;
  readonly walLevel: string | undefined;
  readonly sendersMax: number | undefined;
  /** The one that asks included, if it is one. */
  readonly sendersInUse: number | undefined;
  readonly isAskedBySender: boolean;
  readonly slotsMax: number | undefined;
  readonly slotsInUse: number | undefined;
  /** As SHOW words them. */
  readonly slotLimit: string | undefined;
  readonly fullPageWrites: string | undefined;
  readonly dataChecksums: string | undefined;
  readonly summarizeWal: string | undefined;
  readonly synchronousStandbyNames: string | undefined;
  /** How we call ourselves. */
  readonly applicationName: string;
}

const oldestMajor = 14;
const oldestMaintainedMajor = 15;
const newestMajor = 18;
/** One for a base backup, one for the receiver of the WAL. */
const sendersWanted = 2;
/** Temporary for a backup, permanent for the receiver. */
const slotsWanted = 2;

export function replicationFindings(state: ReplicationState): Finding[] {
  return [
    versionFinding(state),
    walLevelFinding(state),
    sendersFinding(state),
    slotsFinding(state),
    slotLimitFinding(state.slotLimit),
    fullPagesFinding(state),
    checksumsFinding(state),
    ...summariesFinding(state),
    synchronousFinding(state.synchronousStandbyNames, state.applicationName),
  ];
}

function versionFinding({ version, major, isStandby }: ReplicationState): Finding {
  const aspect = 'server version';
  const message = `PostgreSQL ${version}${isStandby ? ', a standby' : ''}`;
  if (major < oldestMajor) {
    const hint = `Upgrade the server, or set method: logical for this component: physical backups need ${oldestMajor}.`;
    return { aspect, outcome: 'failed', message: `${message} is too old for physical backups`, hint };
  }
  if (major < oldestMaintainedMajor) {
    const hint = `Plan the upgrade: PostgreSQL ${major} gets no more fixes.`;
    return { aspect, outcome: 'warning', message: `${message}, which is no longer maintained`, hint };
  }
  if (major > newestMajor) {
    const hint = 'Look for a newer version of this program, and set method: logical for this component until then.';
    return { aspect, outcome: 'failed', message: `${message} is newer than this program knows (${newestMajor})`, hint };
  }
  return { aspect, outcome: 'passed', message };
}

function walLevelFinding({ walLevel, sendersMax }: ReplicationState): Finding {
  const aspect = 'wal_level';
  if (walLevel === undefined) return unseen(aspect);
  if (walLevel !== 'minimal') return { aspect, outcome: 'passed', message: walLevel };
  const senders = sendersMax === 0 ? ' ALTER SYSTEM SET max_wal_senders = 10;' : '';
  return {
    aspect,
    outcome: 'failed',
    message: 'minimal: the WAL does not hold what a backup needs',
    hint: `Run as a superuser: ALTER SYSTEM SET wal_level = replica;${senders} and restart the server.`,
  };
}

function sendersFinding(state: ReplicationState): Finding {
  const aspect = 'wal senders';
  const { sendersMax, sendersInUse, isAskedBySender } = state;
  if (sendersMax === undefined) return unseen(aspect);
  const inUse = (sendersInUse ?? 0) - (isAskedBySender ? 1 : 0);
  const free = sendersMax - inUse;
  const message = `${inUse} of ${sendersMax} in use`;
  const hint = `Run as a superuser: ALTER SYSTEM SET max_wal_senders = ${Math.max(10, inUse + 2 * sendersWanted)}; and restart the server, or end one that is not needed (pg_stat_replication).`;
  if (free <= 0) return { aspect, outcome: 'failed', message: `${message}: none is free`, hint };
  if (sendersInUse === undefined) return { aspect, outcome: 'passed', message: `max_wal_senders = ${sendersMax}` };
  if (free >= sendersWanted) return { aspect, outcome: 'passed', message };
  return { aspect, outcome: 'warning', message: `${message}: one is free, the journal and a backup take two`, hint };
}

function slotsFinding({ slotsMax, slotsInUse }: ReplicationState): Finding {
  const aspect = 'replication slots';
  if (slotsMax === undefined) return unseen(aspect);
  if (slotsInUse === undefined && slotsMax > 0) {
    return { aspect, outcome: 'passed', message: `max_replication_slots = ${slotsMax}` };
  }
  const inUse = slotsInUse ?? 0;
  const message = `${inUse} of ${slotsMax} in use`;
  if (slotsMax - inUse >= slotsWanted) return { aspect, outcome: 'passed', message };
  const hint = `Run as a superuser: ALTER SYSTEM SET max_replication_slots = ${Math.max(10, inUse + 2 * slotsWanted)}; and restart the server, or drop one that nobody needs (pg_replication_slots, pg_drop_replication_slot).`;
  if (slotsMax > inUse) {
    const use = 'one is free, the journal and a backup take two, unless the journal has its own already';
    return { aspect, outcome: 'warning', message: `${message}: ${use}`, hint };
  }
  const use = 'none is free, so WAL may be removed before it is fetched';
  return { aspect, outcome: 'warning', message: `${message}: ${use}`, hint };
}

export function slotLimitFinding(limit: string | undefined): Finding {
  const aspect = 'slot limit';
  if (limit === undefined) return unseen(aspect);
  if (limit !== '-1') return { aspect, outcome: 'passed', message: `a slot keeps at most ${limit} of WAL` };
  return {
    aspect,
    outcome: 'warning',
    message: 'a receiver that is away fills the disk of the server: max_slot_wal_keep_size has no limit',
    hint: "Run as a superuser, with what the disk of pg_wal can spare: ALTER SYSTEM SET max_slot_wal_keep_size = '64GB'; SELECT pg_reload_conf();",
  };
}

function fullPagesFinding({ fullPageWrites, isStandby }: ReplicationState): Finding {
  const aspect = 'full_page_writes';
  if (fullPageWrites === undefined) return unseen(aspect);
  if (fullPageWrites === 'on') return { aspect, outcome: 'passed', message: 'on' };
  const standby = isStandby ? '; if it is off on the primary, too, the server refuses a backup from here' : '';
  return {
    aspect,
    outcome: 'warning',
    message: `off: a crash of the server may tear pages that nothing mends${standby}`,
    hint: 'Run as a superuser: ALTER SYSTEM SET full_page_writes = on; SELECT pg_reload_conf();',
  };
}

/** Off is a choice of whoever made the server, and takes a stop of it to change. */
function checksumsFinding({ dataChecksums }: ReplicationState): Finding {
  const aspect = 'data checksums';
  if (dataChecksums === undefined) return unseen(aspect);
  const message = dataChecksums === 'on' ? 'on: each page is checked' : 'off: damaged pages can not be told';
  return { aspect, outcome: 'passed', message };
}

function summariesFinding({ major, summarizeWal }: ReplicationState): Finding[] {
  const aspect = 'wal summaries';
  if (major < 17) return [];
  if (summarizeWal === undefined) return [unseen(aspect)];
  if (summarizeWal === 'on')
    return [{ aspect, outcome: 'passed', message: 'incremental backups read changed blocks only' }];
  return [
    {
      aspect,
      outcome: 'warning',
      message: 'summarize_wal is off: each backup reads the whole server',
      hint: 'Run as a superuser: ALTER SYSTEM SET summarize_wal = on; SELECT pg_reload_conf();',
    },
  ];
}

/** `names` is synchronous_standby_names. */
export function synchronousFinding(names: string | undefined, applicationName: string): Finding {
  const aspect = 'synchronous standbys';
  if (names === undefined) return unseen(aspect);
  if (!namesStandby(names, applicationName)) {
    return { aspect, outcome: 'passed', message: 'commits do not wait for this program' };
  }
  return {
    aspect,
    outcome: 'warning',
    message: `synchronous_standby_names = ${pg.escapeLiteral(names)} makes commits wait for this program`,
    hint: `Name the standbys that are meant in place of *, then run SELECT pg_reload_conf(); this program calls itself ${applicationName}.`,
  };
}

/** Services that hand out no physical backups, by a role that only they have. */
const managedServices: Readonly<Record<string, string>> = {
  rds_superuser: 'Amazon RDS or Aurora',
  cloudsqlsuperuser: 'Google Cloud SQL',
  alloydbsuperuser: 'Google AlloyDB',
  azure_pg_admin: 'Azure Database for PostgreSQL',
  neon_superuser: 'Neon',
  supabase_admin: 'Supabase',
};

export const managedRoles = Object.keys(managedServices);

/** Only where replication is refused: such a role alone says nothing. */
export function managedFinding(roles: readonly string[]): Finding | undefined {
  const role = roles.find((one) => one in managedServices);
  if (role === undefined) return undefined;
  return {
    aspect: 'managed service',
    outcome: 'failed',
    message: `the role ${role} tells that this is ${managedServices[role]}, which hands out no physical backups`,
    hint: "Set method: logical for this component, and use the provider's own snapshots beside it.",
  };
}

function unseen(aspect: string): Finding {
  return {
    aspect,
    outcome: 'inconclusive',
    message: 'the setting could not be read',
    hint: 'Look at it as a superuser: SHOW ALL;',
  };
}
