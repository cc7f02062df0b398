// The tables of the catalog as TypeScript sees them. Columns are named alike on SQLite and PostgreSQL (`lease_until_ms`); times are
// milliseconds since 1970; JSON is text, and whoever reads it checks it.
import type { AccessTables } from './access-tables.ts';
import type { AlertTables } from './alert-tables.ts';
import type { ProbeTables } from './probe-tables.ts';
import type { SelfTables } from './self-tables.ts';
import type { SystemTables } from './system-tables.ts';

/** Text of a JSON document. */
type JsonText = string;

/** Of runs that are not at their end. */
export const openStates = ['queued', 'running', 'waiting'] as const;
export const runStates = [...openStates, 'succeeded', 'failed', 'cancelled'] as const;
export type RunState = (typeof runStates)[number];

/** One piece of work that must come to an end, whatever dies on the way. */
export interface RunTable {
  readonly id: string;
  readonly kind: string;
  /** Of which application it is; whoever may not see that one does not see the run. */
  readonly application: string | null;
  readonly component: string | null;
  readonly input: JsonText;
  /** Labels that its worker must carry, sorted: `host=db-1`. */
  readonly labels: JsonText;
  /** Of runs with the same key one at a time is running. */
  readonly concurrencyKey: string | null;
  /** Higher goes first. */
  readonly priority: number;
  readonly state: RunState;
  /** Goes up each time somebody takes the run: who knows an older one has lost it. */
  readonly epoch: number;
  readonly worker: string | null;
  readonly leaseUntilMs: number | null;
  /** Not before; of a waiting run when it goes on without a signal. */
  readonly wakeAtMs: number | null;
  /** The topic of the signal that a waiting run waits for. */
  readonly waitsFor: string | null;
  /** How many workers died with it since its last step. */
  readonly crashes: number;
  readonly attempt: number;
  readonly attemptsMax: number;
  /** What it came from: a schedule and its moment, a request, another run. */
  readonly origin: JsonText;
  readonly output: JsonText | null;
  readonly error: JsonText | null;
  /** How far it was when last heard of. */
  readonly progress: JsonText | null;
  readonly cancelRequestedAtMs: number | null;
  readonly createdAtMs: number;
  readonly startedAtMs: number | null;
  readonly endedAtMs: number | null;
}

/** What a run has done already. */
export interface StepTable {
  readonly runId: string;
  readonly name: string;
  readonly state: 'begun' | 'done';
  readonly epoch: number;
  /** How to find again, after a crash, what the step had begun outside. */
  readonly handle: JsonText | null;
  readonly output: JsonText | null;
  readonly begunAtMs: number;
  readonly doneAtMs: number | null;
}

/** The first of a topic counts; it may come before anybody waits for it. */
export interface SignalTable {
  readonly runId: string;
  readonly topic: string;
  readonly data: JsonText;
  readonly sentAtMs: number;
}

/** What a run tells of itself. */
export interface RunEventTable {
  readonly runId: string;
  readonly number: number;
  readonly atMs: number;
  readonly kind: string;
  readonly text: string;
}

export interface WorkerTable {
  readonly id: string;
  readonly name: string;
  readonly labels: JsonText;
  readonly version: string;
  readonly startedAtMs: number;
  readonly seenAtMs: number;
  /** Set when it ended by itself. */
  readonly endedAtMs: number | null;
}

export interface ScheduleTable {
  readonly id: string;
  /** What it is configured by. */
  readonly spec: string;
  readonly pausedAtMs: number | null;
  readonly pausedUntilMs: number | null;
  /** Moments up to here are dealt with. */
  readonly firedUpToMs: number;
}

/** A moment of a schedule that somebody dealt with: the key lets nobody do it twice. */
export interface FiringTable {
  readonly scheduleId: string;
  readonly plannedAtMs: number;
  /** Absent where the moment was missed and left out. */
  readonly runId: string | null;
  readonly firedAtMs: number;
}

/** The right to do what runs always and once. */
export interface LeaseTable {
  readonly name: string;
  readonly holder: string | null;
  readonly epoch: number;
  readonly untilMs: number;
  readonly told: JsonText | null;
  readonly toldAtMs: number | null;
}

/** How a component stands against what was promised. */
export interface StandingTable {
  readonly application: string;
  readonly component: string;
  readonly standing: string;
  readonly reason: string;
  readonly hint: string | null;
  /** Of the newest that can be recovered, when it was seen. */
  readonly ageMs: number | null;
  readonly rpoMs: number | null;
  readonly rtoMs: number | null;
  /** Of the newest restore that was done and compared, and when. */
  readonly restoreMs: number | null;
  readonly restoreAtMs: number | null;
  /** To be expected now, at least and at most. */
  readonly restoreLowMs: number | null;
  readonly restoreHighMs: number | null;
  /** Since when the standing is this. */
  readonly sinceMs: number;
  readonly seenAtMs: number;
}

export interface StandingSampleTable {
  readonly application: string;
  readonly component: string;
  readonly atMs: number;
  readonly standing: string;
  readonly ageMs: number | null;
  readonly restoreMs: number | null;
}

export interface Tables extends AccessTables, AlertTables, ProbeTables, SelfTables, SystemTables {
  readonly run: RunTable;
  readonly step: StepTable;
  readonly signal: SignalTable;
  readonly runEvent: RunEventTable;
  readonly worker: WorkerTable;
  readonly schedule: ScheduleTable;
  readonly firing: FiringTable;
  readonly lease: LeaseTable;
  readonly standing: StandingTable;
  readonly standingSample: StandingSampleTable;
}
