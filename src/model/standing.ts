// How a component stands against what was promised, by what was last seen of it: one word, with its reason and what to do. Green only where
// every fact says so; what is not known is said to be unknown.
import { formatAge, formatDuration } from '../base/duration.ts';
import { isoTime } from '../base/iso-time.ts';

export const standings = ['protected', 'at_risk', 'overdue', 'unprotected', 'unknown'] as const;
export type Standing = (typeof standings)[number];

/** What was seen, and when. */
export interface Sighting {
  readonly component: string;
  /** When it was looked at. */
  readonly atMs: number;
  /** Of the newest that can be recovered, then; undefined if there is nothing. */
  readonly ageMs: number | undefined;
  readonly rpoMs: number | undefined;
  /** Something newer may lie where nobody could look. */
  readonly mayBeNewer: boolean;
  readonly proof:
    | { readonly outcome: 'passed' | 'failed' | 'inconclusive'; readonly timeMs: number; readonly message: string }
    | undefined;
  /** Why a repository of its could not be read. */
  readonly problems: readonly string[];
  /** None of them could be read, by whoever can look. */
  readonly isAway: boolean;
  /** Something backs it up by itself. */
  readonly isScheduled: boolean;
  /** Those of its labels that no worker carries. */
  readonly missingLabels: readonly string[];
  /** Its backups are paused; until when, if that is said. */
  readonly paused: { readonly untilMs: number | undefined } | undefined;
  /** The last backup that was begun by itself, if it did not end well: why. */
  readonly failedBackup: string | undefined;
  /** The same of its copies. */
  readonly failedCopy: string | undefined;
  /** The last verification of a repository of its, if it found damage: where, and what. */
  readonly damage: string | undefined;
  /** Why it may take longer to bring it back than was promised. */
  readonly slowRestore: string | undefined;
  /** In what a backup is unlike those before it, if nobody has accepted that. */
  readonly anomaly: string | undefined;
  /** A proof is asked for; how old it may be, if it is proven on a schedule. */
  readonly proofMaxAgeMs: number | undefined;
}

export interface Judgement {
  readonly standing: Standing;
  readonly reason: string;
  readonly hint: string | undefined;
}

/** Nobody has looked for so long: what was seen says nothing of now. */
export const sightingMaxAgeMs = 20 * 60_000;
/** Of an RPO: beyond it there is little left for the next backup to be late. */
const riskShare = 0.9;

/** After a run somebody looks within seconds: what was not seen for longer has not been backed up by a server that lives. */
const lateLookMs = 60_000;

export interface KeptJudgement {
  readonly standing: string;
  readonly reason: string;
  readonly hint: string | null;
  readonly ageMs: number | null;
  readonly rpoMs: number | null;
  readonly seenAtMs: number;
}

/** Of what was the newest when it was looked at; undefined if there was nothing. */
export function ageNowMs(
  { ageMs, seenAtMs }: Pick<KeptJudgement, 'ageMs' | 'seenAtMs'>,
  nowMs: number,
): number | undefined {
  return ageMs === null ? undefined : ageMs + Math.max(0, nowMs - seenAtMs);
}

/** As it was judged, unless that is too long ago to say anything of now; and what has grown too old since. */
export function standingNow(seen: KeptJudgement, nowMs: number): Judgement {
  const silentMs = nowMs - seen.seenAtMs;
  if (silentMs > sightingMaxAgeMs) {
    return judgement('unknown', `nobody has looked for ${formatAge(silentMs)}`, "See that 'lifeboat server' runs.");
  }
  // One that a later Lifeboat wrote is not known here.
  const standing = standings.find((one) => one === seen.standing) ?? 'unknown';
  const [ageMs, rpoMs] = [ageNowMs(seen, nowMs), seen.rpoMs];
  const isGrown = silentMs > lateLookMs && ageMs !== undefined && rpoMs !== null && ageMs > rpoMs;
  if (isGrown && (standing === 'protected' || standing === 'at_risk')) {
    const fact = `the newest known is ${formatAge(ageMs)} old, and ${formatDuration(rpoMs)} was promised; nobody has looked for ${formatAge(silentMs)}`;
    return judgement('overdue', fact, "See that 'lifeboat server' runs.");
  }
  return judgement(standing, seen.reason, seen.hint ?? undefined);
}

/** The worst that is true. */
export function judge(sighting: Sighting, nowMs: number): Judgement {
  const { atMs, ageMs, mayBeNewer, proof, problems, isScheduled, missingLabels, failedBackup, isAway } = sighting;
  const sinceMs = nowMs - atMs;
  if (sinceMs > sightingMaxAgeMs) {
    const fact = `nobody has looked for ${formatDuration(roundedMs(sinceMs))}`;
    return judgement('unknown', fact, "See that 'lifeboat server' runs.");
  }
  if (isScheduled && missingLabels.length > 0) {
    const fact = `no worker carries ${missingLabels.join(', ')}, so nothing is done for it`;
    const options = missingLabels.map((label) => ` --label ${label}`).join('');
    return judgement('unprotected', fact, `Start 'lifeboat worker${options}' where it can be reached.`);
  }
  if (isAway && failedBackup !== undefined) {
    return judgement(
      'unprotected',
      `it can neither be backed up nor brought back: ${failedBackup}`,
      "Run 'lifeboat check'.",
    );
  }
  if (ageMs === undefined) {
    return mayBeNewer || problems.length > 0
      ? judgement('unknown', problems[0] ?? 'no backup is known', "Run 'lifeboat check'.")
      : judgement('unprotected', failedBackup ?? 'there is no backup', backUp(sighting));
  }
  const isKept = isScheduled && problems.length === 0;
  return tooOld(sighting) ?? atRisk(sighting, nowMs) ?? (isKept ? wellKept(proof) : notKept(sighting));
}

/** Said also to recognise what another alert tells already. */
export const damageReason = (damage: string): string => `a repository is damaged: ${damage}`;
export const failedCopyReason = (message: string): string => `the last copy failed: ${message}`;

/** As it is, the next one would fail as the last did. */
function backUp({ component, failedBackup }: Sighting): string {
  const command = `'lifeboat backup ${component}'`;
  return failedBackup === undefined ? `Run ${command}.` : `Mend the cause, and run ${command}.`;
}

function tooOld(sighting: Sighting): Judgement | undefined {
  const { ageMs = 0, rpoMs = Infinity, mayBeNewer, failedBackup } = sighting;
  if (ageMs <= rpoMs) return undefined;
  const fact = `the newest is ${formatDuration(roundedMs(ageMs))} old, and ${formatDuration(rpoMs)} was promised`;
  if (mayBeNewer) {
    return judgement('unknown', `${fact}; a newer one may lie where nobody could look`, "Run 'lifeboat check'.");
  }
  const reason = failedBackup === undefined ? fact : `${fact}: ${failedBackup}`;
  return judgement('overdue', reason, backUp(sighting));
}

function atRisk(sighting: Sighting, nowMs: number): Judgement | undefined {
  const { component, ageMs = 0, rpoMs, proof, anomaly, damage, slowRestore, proofMaxAgeMs } = sighting;
  if (proof?.outcome === 'failed') {
    return judgement(
      'at_risk',
      `the last proof failed: ${proof.message}`,
      `Mend the cause, and run 'lifeboat prove ${component}'.`,
    );
  }
  if (damage !== undefined)
    return judgement(
      'at_risk',
      damageReason(damage),
      "See the page on troubles; once it is mended, 'lifeboat runs start' the verification.",
    );
  const interrupted = notWorking(sighting);
  if (interrupted !== undefined) return interrupted;
  if (anomaly !== undefined) {
    return judgement(
      'at_risk',
      `a backup is unlike those before: ${anomaly}`,
      "Look at what changed, then run 'lifeboat anomalies accept', or restore an earlier one.",
    );
  }
  if (rpoMs !== undefined && ageMs > rpoMs * riskShare) {
    const left = formatDuration(roundedMs(rpoMs - ageMs));
    return judgement('at_risk', `in ${left} the newest is older than promised`, `Run 'lifeboat backup ${component}'.`);
  }
  if (proofMaxAgeMs !== undefined && proof !== undefined && nowMs - proof.timeMs > proofMaxAgeMs) {
    const age = formatDuration(roundedMs(nowMs - proof.timeMs));
    return judgement('at_risk', `the last proof is ${age} old`, `Run 'lifeboat prove ${component}'.`);
  }
  if (slowRestore !== undefined)
    return judgement(
      'at_risk',
      slowRestore,
      'Restore to a faster machine, split the component, or promise what can be kept.',
    );
  if (proof?.outcome === 'inconclusive') {
    return judgement(
      'at_risk',
      `the last proof was inconclusive: ${proof.message}`,
      `Run 'lifeboat prove ${component}'.`,
    );
  }
  return undefined;
}

function notWorking({ component, paused, failedBackup, failedCopy }: Sighting): Judgement | undefined {
  if (paused !== undefined) {
    const until = paused.untilMs === undefined ? 'until somebody resumes them' : `until ${momentWords(paused.untilMs)}`;
    return judgement(
      'at_risk',
      `its backups are paused ${until}`,
      `Run 'lifeboat schedule resume backup/${component}'.`,
    );
  }
  if (failedBackup !== undefined)
    return judgement('at_risk', `the last backup failed: ${failedBackup}`, "'lifeboat runs list' has it.");
  if (failedCopy !== undefined)
    return judgement('at_risk', failedCopyReason(failedCopy), "'lifeboat runs list' has it.");
  return undefined;
}

function wellKept(proof: Sighting['proof']): Judgement {
  if (proof === undefined) {
    return judgement(
      'at_risk',
      'it was never proven to come back',
      "Give its policy a 'proof', or run 'lifeboat prove'.",
    );
  }
  return judgement('protected', `proven on ${momentWords(proof.timeMs)}`, undefined);
}

function notKept({ component, isScheduled, problems: [problem] }: Sighting): Judgement {
  if (!isScheduled) {
    return judgement('at_risk', 'nothing backs it up by itself', `Give the policy of ${component} a schedule.`);
  }
  return judgement('at_risk', `a repository could not be read: ${problem ?? ''}`, "Run 'lifeboat check'.");
}

const judgement = (standing: Standing, reason: string, hint: string | undefined): Judgement => ({
  standing,
  reason,
  hint,
});

/** It is read later: 'an hour ago' would not stay true. */
function momentWords(ms: number): string {
  const [day = '', time = ''] = isoTime(ms).split('T');
  return `${day} at ${time.slice(0, 5)} UTC`;
}

/** Seconds below an hour, minutes above: nobody reads more. */
function roundedMs(ms: number): number {
  const unitMs = ms < 3_600_000 ? 1000 : 60_000;
  return Math.max(unitMs, Math.round(ms / unitMs) * unitMs);
}
