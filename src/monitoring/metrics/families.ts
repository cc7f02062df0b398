// The metrics by name: what Prometheus scrapes, and what dashboards and alert rules may use. Pure: from what was measured to families.
import { ageNowMs, standings } from '../../model/standing.ts';
import type { Family } from './exposition.ts';
import { gauge, type Labelled } from './gauge.ts';
import type { Measured } from './measured.ts';
import type { ProcessSample } from './process-sample.ts';
import { watchFamilies } from './watch-families.ts';

const seconds = (ms: number): number => ms / 1000;
const maybeSeconds = (ms: number | null | undefined): number | undefined =>
  ms === null || ms === undefined ? undefined : seconds(ms);

export function familiesOf(measured: Measured, program: { version: string; process: ProcessSample }): Family[] {
  return [
    ...componentFamilies(measured),
    ...repositoryFamilies(measured),
    ...runFamilies(measured),
    ...scheduleFamilies(measured),
    ...watchFamilies(measured),
    ...(measured.workers === undefined ? [] : serverFamilies(measured.workers.length, program)),
  ];
}

function componentFamilies({ standings: rows, proofs, nowMs }: Measured): Family[] {
  const of = ({ application, component }: { application: string; component: string }) => ({ application, component });
  return [
    gauge(
      'component_rpo_age_seconds',
      'Age of the newest data that can be recovered, at least.',
      rows.map((row) => [of(row), maybeSeconds(ageNowMs(row, nowMs))]),
    ),
    gauge(
      'component_rpo_objective_seconds',
      'How old that may be.',
      rows.map((row) => [of(row), maybeSeconds(row.rpoMs)]),
    ),
    gauge(
      'component_restore_seconds',
      'How long the newest restore took that was done and compared.',
      rows.map((row) => [of(row), maybeSeconds(row.restoreMs)]),
    ),
    gauge(
      'component_restore_expected_seconds',
      'How long a restore is expected to take with the data of today, at least and at most.',
      rows.flatMap((row): Labelled[] => [
        [{ ...of(row), bound: 'low' }, maybeSeconds(row.restoreLowMs)],
        [{ ...of(row), bound: 'high' }, maybeSeconds(row.restoreHighMs)],
      ]),
    ),
    gauge(
      'component_rto_objective_seconds',
      'How long that may take.',
      rows.map((row) => [of(row), maybeSeconds(row.rtoMs)]),
    ),
    gauge(
      'component_standing',
      'How the component stands against what was promised: 1 for the standing that it has, 0 for the others.',
      rows.flatMap((row) =>
        standings.map((standing): Labelled => [{ ...of(row), standing }, Number(row.standing === standing)]),
      ),
    ),
    gauge(
      'component_standing_since_timestamp_seconds',
      'Since when.',
      rows.map((row) => [of(row), seconds(row.sinceMs)]),
    ),
    gauge(
      'component_seen_timestamp_seconds',
      'When the repositories of the component were last looked at.',
      rows.map((row) => [of(row), seconds(row.seenAtMs)]),
    ),
    gauge(
      'component_newest_timestamp_seconds',
      'Of the newest data that can be recovered.',
      rows.map((row) => [of(row), row.ageMs === null ? null : seconds(row.seenAtMs - row.ageMs)]),
    ),
    gauge(
      'component_proof_timestamp_seconds',
      'When the component was last restored as a proof, by outcome: passed, failed, inconclusive.',
      proofs.map((row) => [{ ...of(row), outcome: row.outcome }, seconds(row.atMs)]),
    ),
  ];
}

function repositoryFamilies({ repositories }: Measured): Family[] {
  const of = ({ application, repository }: (typeof repositories)[number]) => ({ application, repository });
  return [
    gauge(
      'repository_readable',
      'Whether the repository could be read when it was last looked at.',
      repositories.map((row) => [of(row), Number(row.problem === null)]),
    ),
    gauge(
      'repository_snapshots',
      'Snapshots in the repository.',
      repositories.map((row) => [of(row), row.snapshots]),
    ),
    gauge(
      'repository_added_bytes',
      'What its snapshots added, compressed.',
      repositories.map((row) => [of(row), row.storedBytes]),
    ),
  ];
}

function runFamilies({ open, ended, nowMs }: Measured): Family[] {
  const of = ({ application, kind, state }: (typeof open)[number]) => ({
    application: application ?? '',
    kind,
    state,
  });
  const queued = open.filter(({ state }) => state === 'queued');
  return [
    gauge(
      'runs_open',
      'Runs that are not at their end: queued, running, waiting.',
      open.map((row) => [of(row), row.count]),
    ),
    gauge(
      'runs_oldest_queued_seconds',
      'How long the oldest run has waited for a worker.',
      queued.map((row) => [
        { application: row.application ?? '', kind: row.kind },
        seconds(nowMs - row.oldestCreatedAtMs),
      ]),
    ),
    gauge(
      'runs_last_day',
      'Runs of the last 24 hours that have ended, by outcome: succeeded, failed, cancelled.',
      ended.map((row) => [of(row), row.count]),
    ),
    gauge(
      'runs_last_day_duration_seconds',
      'What they took together, from begin to end.',
      ended.map((row) => [of(row), seconds(row.workedMs)]),
    ),
  ];
}

function scheduleFamilies({ schedules }: Measured): Family[] {
  const of = ({ application, job }: (typeof schedules)[number]) => ({ application, job });
  return [
    gauge(
      'schedule_lateness_seconds',
      'How late the newest moment of the schedule was dealt with.',
      schedules.map((row) => [
        of(row),
        row.firedAtMs === null ? null : Math.max(0, seconds(row.firedAtMs - row.firedUpToMs)),
      ]),
    ),
    gauge(
      'schedule_paused',
      'Whether somebody paused it.',
      schedules.map((row) => [of(row), Number(row.pausedAtMs !== null)]),
    ),
  ];
}

function serverFamilies(workers: number, { version, process }: { version: string; process: ProcessSample }): Family[] {
  return [
    gauge('build_info', 'Version of the server.', [[{ version }, 1]]),
    gauge('workers', 'Workers that were heard of lately.', [[{}, workers]]),
    gauge('process_resident_bytes', 'Memory of the server.', [[{}, process.residentBytes]]),
    gauge('process_heap_used_bytes', 'Memory of its JavaScript objects.', [[{}, process.heapUsedBytes]]),
    {
      ...gauge('process_cpu_seconds_total', 'Processor time of the server.', [[{}, process.cpuSeconds]]),
      type: 'counter',
    },
    gauge('process_start_timestamp_seconds', 'When the server was started.', [[{}, seconds(process.startedAtMs)]]),
    gauge(
      'event_loop_lateness_seconds',
      'How late its event loop was since the last look, in 99 of 100 cases at most.',
      [[{}, seconds(process.eventLoopP99Ms)]],
    ),
    gauge('event_loop_lateness_max_seconds', 'How late it was at worst.', [[{}, seconds(process.eventLoopMaxMs)]]),
  ];
}
