// Replication of PostgreSQL: on a primary its standbys and slots, on a standby how far it is behind.
import { formatByteSize } from '../../base/byte-size.ts';
import { formatAge } from '../../base/duration.ts';
import { count } from '../../base/count.ts';
import { z } from 'zod';
import type { ProbeOf } from '../../model/probe.ts';
import { conclude, degraded, down, unknown, type Look, type LookParts, type Problem } from './look.ts';

/** One row of JSON: numbers stay numbers, whatever a driver makes of them. Runs on 10 and later. */
export const replicationQuery = `
  SELECT json_build_object(
    'isStandby', r.standby,
    'mayRead', pg_catalog.pg_has_role(current_user, 'pg_read_all_stats', 'USAGE'),
    'receivedBytesBehind', CASE WHEN r.standby THEN
       pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_last_wal_receive_lsn(), pg_catalog.pg_last_wal_replay_lsn()) END,
    'replayedMsAgo', CASE WHEN r.standby THEN
       extract(epoch FROM clock_timestamp() - pg_catalog.pg_last_xact_replay_timestamp()) * 1000 END,
    'isReceiving', CASE WHEN r.standby THEN EXISTS (SELECT FROM pg_catalog.pg_stat_wal_receiver) END,
    'standbys', CASE WHEN NOT r.standby THEN coalesce((SELECT json_agg(json_build_object(
        'name', s.application_name, 'state', s.state, 'bytesBehind',
        pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_lsn(), coalesce(s.replay_lsn, s.flush_lsn)),
        'msBehind', extract(epoch FROM s.replay_lag) * 1000) ORDER BY s.application_name)
       FROM pg_catalog.pg_stat_replication s WHERE s.state IS DISTINCT FROM 'backup'), '[]'::json) END,
    'slots', coalesce((SELECT json_agg(json_build_object('name', l.slot_name, 'isActive', l.active,
        'walStatus', to_jsonb(l) ->> 'wal_status',
        'retainedBytes', pg_catalog.pg_wal_lsn_diff(CASE WHEN r.standby THEN pg_catalog.pg_last_wal_receive_lsn()
          ELSE pg_catalog.pg_current_wal_lsn() END, l.restart_lsn)) ORDER BY l.slot_name)
       FROM pg_catalog.pg_replication_slots l WHERE NOT l.temporary), '[]'::json)) AS state
  FROM (SELECT pg_catalog.pg_is_in_recovery() AS standby) r`;

const number = z.number().nullable();
const stateSchema = z.object({
  isStandby: z.boolean(),
  mayRead: z.boolean(),
  receivedBytesBehind: number,
  replayedMsAgo: number,
  isReceiving: z.boolean().nullable(),
  standbys: z
    .array(
      z.object({ name: z.string().nullable(), state: z.string().nullable(), bytesBehind: number, msBehind: number }),
    )
    .nullable(),
  slots: z.array(
    z.object({ name: z.string(), isActive: z.boolean(), walStatus: z.string().nullable(), retainedBytes: number }),
  ),
});

export type ReplicationState = z.output<typeof stateSchema>;

export async function probeReplication(settings: ProbeOf<'replication'>, { signal, ports }: LookParts): Promise<Look> {
  const [row] = await ports.queryPostgres(settings.component, { sql: replicationQuery }, signal);
  return judgeReplication(stateSchema.parse(row?.['state']), settings);
}

export function judgeReplication(state: ReplicationState, settings: ProbeOf<'replication'>): Look {
  const slots = slotProblems(state, settings);
  const retainedBytes = Math.max(0, ...state.slots.map((slot) => slot.retainedBytes ?? 0));
  const common = { slots: state.slots.length, retainedBytes };
  if (state.isStandby) {
    const bytes = state.receivedBytesBehind ?? 0;
    // Nothing to replay: the age of the last change says only that nobody changes anything.
    const ms = bytes === 0 && state.isReceiving === true ? 0 : (state.replayedMsAgo ?? 0);
    const lag = lagProblems('the standby', { bytes, ms }, settings);
    const stopped =
      state.isReceiving === false ? [degraded('it receives nothing', 'Check primary_conninfo and the primary.')] : [];
    const facts = { ...common, bytesBehind: bytes, msBehind: ms };
    return conclude(`standby, ${formatAge(ms)} behind`, [...stopped, ...lag, ...slots], facts);
  }
  const standbys = state.standbys ?? [];
  const behind = standbys.map(({ bytesBehind, msBehind }) => ({ bytes: bytesBehind ?? 0, ms: msBehind ?? 0 }));
  const facts = {
    ...common,
    standbys: standbys.length,
    bytesBehind: Math.max(0, ...behind.map(({ bytes }) => bytes)),
    msBehind: Math.max(0, ...behind.map(({ ms }) => ms)),
  };
  const summary = `primary, ${count(standbys.length, 'standby', 'standbys')}, ${count(state.slots.length, 'slot')}`;
  return conclude(summary, [...standbyProblems(state, settings), ...slots], facts);
}

function standbyProblems({ standbys, mayRead }: ReplicationState, settings: ProbeOf<'replication'>): Problem[] {
  const connected = standbys ?? [];
  const { standbys: wanted = 0, lagMaxMs, lagMaxBytes } = settings;
  const problems = connected.flatMap(({ name, bytesBehind, msBehind }) => {
    const words = name === null || name === '' ? 'a standby' : name;
    return lagProblems(words, { bytes: bytesBehind ?? 0, ms: msBehind ?? 0 }, settings);
  });
  if (connected.length < wanted) {
    const message = `${count(connected.length, 'standby', 'standbys')} connected, expected at least ${wanted}`;
    problems.push(down(message, 'Start the standbys, and look into their logs.'));
  }
  const asksForLag = lagMaxMs !== undefined || lagMaxBytes !== undefined;
  if (!mayRead && asksForLag && connected.length > 0) {
    const hint = 'GRANT pg_monitor to the role of the component.';
    problems.push(unknown('the role may not see how far standbys are behind', hint));
  }
  return problems;
}

function lagProblems(
  name: string,
  { bytes, ms }: { readonly bytes: number; readonly ms: number },
  { lagMaxMs, lagMaxBytes }: ProbeOf<'replication'>,
): Problem[] {
  const hint = 'Look at its load, its disk, the network, and queries that hold up replay.';
  return [
    ...(lagMaxMs !== undefined && ms > lagMaxMs
      ? [degraded(`${name} is ${formatAge(ms)} behind, more than ${formatAge(lagMaxMs)}`, hint)]
      : []),
    ...(lagMaxBytes !== undefined && bytes > lagMaxBytes
      ? [degraded(`${name} is ${formatByteSize(bytes)} behind, more than ${formatByteSize(lagMaxBytes)}`, hint)]
      : []),
  ];
}

function slotProblems({ slots }: ReplicationState, settings: ProbeOf<'replication'>): Problem[] {
  const { retainedMaxBytes, inactiveSlots } = settings;
  return slots.flatMap(({ name, isActive, walStatus, retainedBytes }) => {
    const drop = `Start what uses the slot ${name}, or drop it: SELECT pg_drop_replication_slot('${name}').`;
    const problems: Problem[] = [];
    if (walStatus === 'lost') problems.push(down(`the slot ${name} has lost changes that it needs`, drop));
    if (walStatus === 'unreserved') problems.push(degraded(`the slot ${name} is about to lose changes`, drop));
    if (!isActive && inactiveSlots === 'degraded') problems.push(degraded(`nobody uses the slot ${name}`, drop));
    if (retainedMaxBytes !== undefined && (retainedBytes ?? 0) > retainedMaxBytes) {
      const kept = formatByteSize(retainedBytes ?? 0);
      problems.push(degraded(`the slot ${name} keeps ${kept}, more than ${formatByteSize(retainedMaxBytes)}`, drop));
    }
    return problems;
  });
}
