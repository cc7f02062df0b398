// What is wrong, from all that is known of an application. Pure: the same facts give the same conditions.
import { formatAge, formatDuration } from '../../base/duration.ts';
import { damageReason, failedCopyReason, type Standing } from '../../model/standing.ts';
import type { ProbeOutcome } from '../../model/probe.ts';
import type { JobKind } from '../../model/schedule.ts';
import type { Condition } from './condition.ts';

export interface KnownStanding {
  readonly component: string;
  readonly standing: Standing;
  readonly reason: string;
  readonly hint: string | undefined;
  readonly ageMs: number | null;
  readonly rpoMs: number | null;
  readonly seenAtMs: number;
}

/** How the last run of a job ended. */
export interface EndedJob {
  /** Id of the job: `retention/local`. */
  readonly job: string;
  readonly kind: JobKind;
  readonly component: string | undefined;
  /** That it verified. */
  readonly repository: string | undefined;
  readonly hasFailed: boolean;
  readonly message: string;
  readonly hint: string | undefined;
  /** Id of the run. */
  readonly run: string;
}

export interface KnownProbe {
  readonly probe: string;
  readonly component: string | null;
  readonly outcome: ProbeOutcome;
  readonly isFlapping: boolean;
  readonly message: string;
  readonly hint: string | null;
}

export interface KnownReceiver {
  readonly component: string;
  /** Since when nobody receives; absent while somebody does. */
  readonly silentSinceMs: number | undefined;
}

export interface DeadChannel {
  readonly channel: string;
  readonly reason: string;
  readonly hint: string;
}

/** All that is known of an application. */
export interface Known {
  readonly nowMs: number;
  readonly standings: readonly KnownStanding[];
  readonly jobs: readonly EndedJob[];
  readonly probes: readonly KnownProbe[];
  readonly receivers: readonly KnownReceiver[];
  readonly deadChannels: readonly DeadChannel[];
  /** Why the configuration can't be read anew. */
  readonly problem: { readonly message: string; readonly hint: string } | undefined;
}

export function conditionsOf(known: Known): Condition[] {
  return [
    ...known.standings.flatMap((one) => standingCondition(one, known)),
    ...known.jobs.flatMap(jobCondition),
    ...known.probes.flatMap(probeCondition),
    ...known.receivers.flatMap((one) => receiverCondition(one, known.nowMs)),
    ...known.deadChannels.map(channelCondition),
    ...(known.problem === undefined ? [] : [configurationCondition(known.problem)]),
  ];
}

const minuteMs = 60_000;

const standingWords: Readonly<
  Record<Exclude<Standing, 'protected'>, Pick<Condition, 'title' | 'severity' | 'holdMs'>>
> = {
  unprotected: { title: 'Unprotected', severity: 'critical', holdMs: 5 * minuteMs },
  overdue: { title: 'RPO breached', severity: 'critical', holdMs: minuteMs },
  at_risk: { title: 'At risk', severity: 'warning', holdMs: 5 * minuteMs },
  unknown: { title: 'State unknown', severity: 'warning', holdMs: 5 * minuteMs },
};

function standingCondition(seen: KnownStanding, { nowMs, jobs }: Known): Condition[] {
  const { component, standing, reason, hint, ageMs, rpoMs, seenAtMs } = seen;
  if (standing === 'protected') return [];
  const age =
    ageMs === null
      ? []
      : [
          {
            name: 'RPO now',
            value: formatAge(ageMs + nowMs - seenAtMs),
            objective: rpoMs === null ? undefined : formatDuration(rpoMs),
          },
        ];
  return [
    {
      subject: `standing/${component}`,
      kind: 'standing',
      component,
      ...standingWords[standing],
      facts: [{ name: 'Why', value: reason }, ...age],
      hint,
      command: 'lifeboat status',
      cause: standing === 'at_risk' ? causeOf(seen, jobs) : undefined,
    },
  ];
}

/** The failed job that is all the reason. */
function causeOf({ component, reason }: KnownStanding, jobs: readonly EndedJob[]): string | undefined {
  const found = jobs.find(({ kind, hasFailed, message, repository, component: own }) => {
    if (!hasFailed) return false;
    if (kind === 'verification') return reason === damageReason(`${repository ?? ''}: ${message}`);
    return kind === 'copy' && own === component && reason === failedCopyReason(message);
  });
  return found && jobSubject(found);
}

const jobSubject = ({ job }: Pick<EndedJob, 'job'>): string => `job/${job}`;

const jobTitles: Readonly<Record<JobKind, string>> = {
  backup: 'Backup failed',
  copy: 'Copy failed',
  retention: 'Retention failed',
  verification: 'Verification failed',
  proof: 'Proof failed',
  'self-backup': 'Backup of the server failed',
};

/** Backups and proofs count into the standing of their component, which says how much that matters. */
function jobCondition({ job, kind, component, hasFailed, message, hint, run }: EndedJob): Condition[] {
  if (!hasFailed || kind === 'backup' || kind === 'proof') return [];
  return [
    {
      subject: jobSubject({ job }),
      kind: 'job',
      component,
      // A repository that is damaged gives nothing back.
      severity: kind === 'verification' ? 'critical' : 'warning',
      title: jobTitles[kind],
      facts: [
        { name: 'Job', value: job },
        { name: 'Why', value: message },
      ],
      hint,
      command: `lifeboat runs show ${run.slice(-8)}`,
      holdMs: 0,
    },
  ];
}

const probeTitles: Readonly<Record<Exclude<ProbeOutcome, 'up'>, string>> = {
  down: 'Down',
  degraded: 'Degraded',
  unknown: 'State unknown',
};

function probeCondition({ probe, component, outcome, isFlapping, message, hint }: KnownProbe): Condition[] {
  if (outcome === 'up' && !isFlapping) return [];
  return [
    {
      subject: `probe/${probe}`,
      kind: 'probe',
      component: component ?? undefined,
      severity: outcome === 'down' ? 'critical' : 'warning',
      title: `${probe}: ${outcome === 'up' || isFlapping ? 'Goes up and down' : probeTitles[outcome]}`,
      facts: [{ name: 'Seen', value: message }],
      hint: hint ?? undefined,
      command: `lifeboat probe ${probe}`,
      // Its damping has waited; but one that has only begun to look knows nothing yet.
      holdMs: outcome === 'unknown' ? 5 * minuteMs : 0,
    },
  ];
}

function receiverCondition({ component, silentSinceMs }: KnownReceiver, nowMs: number): Condition[] {
  if (silentSinceMs === undefined) return [];
  const silentMs = Math.max(1000, nowMs - silentSinceMs);
  return [
    {
      subject: `receiver/${component}`,
      kind: 'receiver',
      component,
      severity: 'critical',
      title: 'Changes are not received',
      facts: [{ name: 'Nobody receives for', value: formatAge(silentMs) }],
      hint: 'See that a worker with its labels runs and reaches the server.',
      command: 'lifeboat workers',
      holdMs: 2 * minuteMs,
    },
  ];
}

function channelCondition({ channel, reason, hint }: DeadChannel): Condition {
  return {
    subject: `channel/${channel}`,
    kind: 'channel',
    severity: 'warning',
    title: `Alerts do not arrive through ${channel}`,
    facts: [{ name: 'Why', value: reason }],
    hint,
    command: `lifeboat alerts test ${channel}`,
    holdMs: 0,
  };
}

function configurationCondition({ message, hint }: { message: string; hint: string }): Condition {
  return {
    subject: 'configuration',
    kind: 'configuration',
    severity: 'warning',
    title: "The configuration can't be read",
    facts: [
      { name: 'Why', value: message },
      { name: 'Meanwhile', value: 'what was read before stays in force' },
    ],
    hint,
    command: 'lifeboat check',
    holdMs: 0,
  };
}
