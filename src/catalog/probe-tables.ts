// The tables of what probes saw, as TypeScript sees them: how each stands, when that changed, and what hours were like.
import type { ProbeOutcome } from '../model/probe.ts';

/** Text of a JSON document. */
type JsonText = string;

export interface ProbeStateTable {
  readonly application: string;
  readonly probe: string;
  readonly component: string | null;
  /** By several looks: one bad one changes nothing. */
  readonly outcome: ProbeOutcome;
  /** 1 if it goes up and down all the time. */
  readonly isFlapping: number;
  /** Of the last look. */
  readonly message: string;
  readonly hint: string | null;
  readonly latencyMs: number;
  readonly facts: JsonText;
  /** Since when the outcome is this. */
  readonly sinceMs: number;
  readonly seenAtMs: number;
  /** Outcomes of the last looks, the oldest first. */
  readonly recent: JsonText;
}

/** The outcome became another one. */
export interface ProbeChangeTable {
  readonly application: string;
  readonly probe: string;
  readonly atMs: number;
  readonly outcome: ProbeOutcome;
  readonly message: string;
}

/** All looks of one hour; how many ended how. */
export interface ProbeHourTable {
  readonly application: string;
  readonly probe: string;
  readonly hourMs: number;
  readonly up: number;
  readonly degraded: number;
  readonly down: number;
  readonly unknown: number;
  /** How many answers took how long, by `latencyBounds`. */
  readonly latencies: JsonText;
}

export interface ProbeTables {
  readonly probeState: ProbeStateTable;
  readonly probeChange: ProbeChangeTable;
  readonly probeHour: ProbeHourTable;
}
