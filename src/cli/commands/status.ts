// `status`: can we recover now, to when, and when was that proven? Read from the repositories themselves; what could not be
// read is unknown, never assumed.
import { count } from '../../base/count.ts';
import { formatDuration } from '../../base/duration.ts';
import { isAppError, messageOf } from '../../base/errors.ts';
import { newestProofs, type Proof } from '../../model/proof.ts';
import { restoreTimeOf, rtoStateOf, type RestoreTime, type RtoState, type TimedRestore } from '../../model/rto.ts';
import { reachWords, standing, verifiedTrees, type Verified } from '../../model/verification.ts';
import { componentOf } from '../../operations/restore/select-point.ts';
import { loadSnapshots, type StoredSnapshot } from '../../repository/snapshot.ts';
import { defineCommand } from '../command.ts';
import type { CommandContext } from '../context.ts';
import { lastStatus, nagiosExitCodes, renderLast, renderNagios, worstOf, type LastStatus } from '../last-status.ts';
import { listArgument, switchOption } from '../option.ts';
import { rtoLines } from '../rto-words.ts';
import { lookAtStandbys, type StandbyStatus } from '../standby-look.ts';
import { standbyLines } from '../standby-words.ts';
import { loadAnomalies, openAnomalies, type Anomaly } from '../anomaly-notes.ts';
import { loadProofs } from '../proofs.ts';
import { summaryNumber } from '../../repository/snapshot-summary.ts';
import { loadVerifications } from '../verifications.ts';
import { ageWords, bytes, wrap, type Paint, type Style } from '../style.ts';
import { table } from '../table.ts';
import {
  journaledComponents,
  journalReaches,
  newestReach,
  reachText,
  type JournalReach,
  type Journaled,
} from '../journal-reach.ts';

/** `none`: no RPO was promised. */
export type RpoState = 'met' | 'breached' | 'unknown' | 'none';

export interface ComponentStatus {
  readonly name: string;
  readonly tier: string | undefined;
  readonly snapshots: number;
  readonly newest: { readonly id: string; readonly time: string; readonly repository: string } | undefined;
  /** How far the journal can be followed from a backup; absent where none is kept. */
  readonly journal: JournalReach | undefined;
  /** The configuration asks for one. */
  readonly isJournalWanted: boolean;
  /** What the age is counted from: the newest of what can be recovered. */
  readonly freshest: 'snapshot' | 'journal' | undefined;
  readonly ageMs: number | undefined;
  readonly rpoMs: number | undefined;
  readonly rpo: RpoState;
  readonly rtoMs: number | undefined;
  readonly rto: RtoState;
  /** How long it took to bring it back, comparison included. */
  readonly restore: RestoreTime | undefined;
  readonly sizeBytes: number | undefined;
  readonly proof: Pick<Proof, 'outcome' | 'time' | 'message'> | undefined;
  /** Odd backups that nobody has accepted. */
  readonly anomalies: readonly Pick<Anomaly, 'snapshot' | 'time' | 'facts'>[];
  /** The newest snapshot that a verification found intact. */
  readonly verified:
    | { readonly id: string; readonly time: string; readonly verifications: readonly Verified[] }
    | undefined;
}

export interface RepositoryStatus {
  readonly name: string;
  readonly location: string;
  readonly snapshots: number | undefined;
  readonly storedBytes: number | undefined;
  /** Of the repository as a whole, newest first. */
  readonly verifications: readonly Verified[];
  /** Files that should be proofs; what they said is not known. */
  readonly unreadableProofs: readonly string[];
  readonly problem: string | undefined;
}

export interface StatusData {
  readonly application: string | undefined;
  readonly components: readonly ComponentStatus[];
  /** Kept by this machine, or asked for by a policy. */
  readonly standbys: readonly StandbyStatus[];
  readonly repositories: readonly RepositoryStatus[];
}

/** As the server saw it last. */
type LastData = LastStatus & {
  readonly isNagios: boolean;
  /** Why nothing is known, for monitors: they read one line of the output, and nothing else. */
  readonly problem?: string;
};

export const statusCommand = defineCommand({
  summary: 'Show what could be recovered now, and when that was proven',
  details:
    'Per component the age of the newest that can be recovered (a snapshot, or what the journal holds behind one without a gap) against the RPO, and the newest proof, with the reason where it did not pass. Exit code 30: an RPO is breached; else 31: the last restore, or the best that is to be expected, takes longer than an RTO; else 20: a newest proof failed; else 21: one was inconclusive, or something is unknown because a repository could not be read, or because a receiver runs elsewhere and nothing came lately; else 3: a backup is unlike those before it (with --last: a component is at risk). --last tells how components stand as the server saw it last, at once and without reading a repository; --nagios the same in one line with the exit codes of a Nagios plugin.',
  examples: ['lifeboat status', 'lifeboat status database --json', 'lifeboat status --nagios'],
  arguments: { names: listArgument('[component...]', 'components; all if absent') },
  options: {
    isLast: switchOption('--last', 'as the server saw it last, without reading repositories'),
    isNagios: switchOption('--nagios', 'the same in one line for monitors; exit code 0, 1, 2 or 3'),
  },
  async run(context, { names, isLast, isNagios }): Promise<StatusData | LastData> {
    if (isNagios) return nagiosStatus(context, names);
    return isLast ? { ...(await lastStatus(context, names)), isNagios } : liveStatus(context, names);
  },
  render(data, style) {
    if (!('standings' in data)) return [renderStatus(data, style), ...troubleLines(data, style)].join('\n');
    return data.isNagios ? renderNagios(data, data.problem) : renderLast(data, style);
  },
  exitCode(data) {
    if (!('standings' in data)) return exitCodeOf(data);
    return data.isNagios ? nagiosExitCodes[worstOf(data)] : lastExitCodes[worstOf(data)];
  },
});

async function nagiosStatus(context: CommandContext, names: readonly string[]): Promise<LastData> {
  try {
    return { ...(await lastStatus(context, names)), isNagios: true };
  } catch (error) {
    if (context.signal.aborted) throw error;
    return { standings: [], isNagios: true, problem: messageOf(error) };
  }
}

const lastExitCodes = { protected: 0, at_risk: 3, overdue: 30, unprotected: 30, unknown: 21 } as const;

function exitCodeOf({ components, repositories }: StatusData): number {
  if (components.some(({ rpo }) => rpo === 'breached')) return 30;
  if (components.some(({ rto }) => rto === 'breached')) return 31;
  if (components.some(({ proof }) => proof?.outcome === 'failed')) return 20;
  const isUnknown =
    components.some(({ rpo, proof }) => rpo === 'unknown' || proof?.outcome === 'inconclusive') ||
    repositories.some(({ problem }) => problem !== undefined);
  if (isUnknown) return 21;
  return components.some(({ anomalies }) => anomalies.length > 0) ? 3 : 0;
}

export async function liveStatus(context: CommandContext, names: readonly string[]): Promise<StatusData> {
  const configuration = await context.findConfiguration();
  const application = configuration?.application;
  const journaled = application === undefined ? [] : await journaledComponents(context, application);
  const read = await Promise.all(
    (await context.chosenRepositories()).map((settings) => readRepository(settings, { context, journaled })),
  );
  const found = new Set(read.flatMap(({ snapshots }) => snapshots.map(({ component }) => component)));
  const known = application?.components ?? [];
  const others = application === undefined ? [...found].toSorted().map((name) => ({ name })) : [];
  const subjects: Subject[] = [
    ...known.map((component) => ({
      name: component.name,
      tier: component.tier,
      rpoMs: component.objectives?.rpoMs,
      rtoMs: component.objectives?.rtoMs,
      isJournalWanted: component.type === 'postgres' && component.journal !== undefined,
    })),
    ...others,
  ];
  const chosen = names.length === 0 ? subjects : subjects.filter(({ name }) => names.includes(name));
  return {
    application: application?.name,
    components: chosen.map((subject) =>
      statusOf(subject, { read, host: application?.name, nowMs: context.clock.now() }),
    ),
    standbys: application === undefined ? [] : await lookAtStandbys(context, application, names),
    repositories: read.map(({ status }) => status),
  };
}

interface Subject {
  readonly name: string;
  readonly tier?: string | undefined;
  readonly rpoMs?: number | undefined;
  readonly rtoMs?: number | undefined;
  readonly isJournalWanted?: boolean;
}

interface ReadRepository {
  readonly status: RepositoryStatus;
  readonly snapshots: readonly {
    readonly component: string;
    readonly repository: string;
    readonly snapshot: StoredSnapshot;
  }[];
  readonly proofs: ReadonlyMap<string, Proof>;
  /** Those that passed, also of trees that were proven again since. */
  readonly passed: readonly Proof[];
  /** By root tree. */
  readonly anomalies: ReadonlyMap<string, Anomaly>;
  readonly verified: ReadonlyMap<string, readonly Verified[]>;
  /** By component. */
  readonly journals: ReadonlyMap<string, JournalReach>;
}

async function readRepository(
  settings: Parameters<CommandContext['openRepository']>[0],
  { context, journaled }: { readonly context: CommandContext; readonly journaled: readonly Journaled[] },
): Promise<ReadRepository> {
  const { name, location } = settings;
  try {
    await using opened = await context.openRepository(settings, 'read');
    const all = await loadSnapshots(opened.repository, context.signal);
    const { proofs, problems } = await loadProofs(opened.repository, context.signal);
    const { anomalies } = await loadAnomalies(opened.repository, context.signal);
    const records = await loadVerifications(opened.repository, context.signal);
    const storedBytes = all.reduce((sum, each) => sum + (summaryNumber(each, 'data_added_packed') ?? 0), 0);
    const snapshots = all.map((snapshot) => ({
      component: componentOf(snapshot) ?? snapshot.hostname,
      repository: name,
      snapshot,
    }));
    return {
      status: {
        name,
        location: opened.month === undefined ? location : opened.repository.store.properties.location,
        snapshots: all.length,
        storedBytes,
        verifications: standing(records),
        unreadableProofs: problems.map((each) => each.name),
        problem: undefined,
      },
      snapshots,
      proofs: newestProofs(proofs),
      passed: proofs.filter(({ outcome }) => outcome === 'passed'),
      anomalies,
      verified: verifiedTrees(records),
      journals: await journalReaches(opened, { snapshots: all, journaled }, context.signal),
    };
  } catch (error) {
    context.signal.throwIfAborted();
    if (!isAppError(error)) throw error;
    const unknown = { snapshots: undefined, storedBytes: undefined, verifications: [], unreadableProofs: [] };
    const status = { name, location, ...unknown, problem: error.message };
    return {
      status,
      snapshots: [],
      proofs: new Map(),
      passed: [],
      anomalies: new Map(),
      verified: new Map(),
      journals: new Map(),
    };
  }
}

function statusOf(
  { name, tier, rpoMs, rtoMs, isJournalWanted = false }: Subject,
  {
    read,
    host,
    nowMs,
  }: { readonly read: readonly ReadRepository[]; readonly host: string | undefined; readonly nowMs: number },
): ComponentStatus {
  const own = read
    .flatMap(({ snapshots }) => snapshots)
    .filter(({ component, snapshot }) => component === name && (host === undefined || snapshot.hostname === host))
    .toSorted((left, right) => timeOf(left.snapshot) - timeOf(right.snapshot));
  const newest = own.at(-1);
  const journal = newestReach(read.flatMap(({ journals }) => journals.get(name) ?? []));
  const { ageMs, freshest } = freshness(newest && timeOf(newest.snapshot), journal?.untilMs, nowMs);
  // Silence is no breach as long as somebody receives of whom it is not known here what he has seen.
  const mayBeNewer = journal !== undefined && journal.missing === undefined && journal.receiver === 'elsewhere';
  const isComplete = read.every(({ status }) => status.problem === undefined) && !mayBeNewer;
  const proofs = own.flatMap(({ snapshot }) => read.flatMap((each) => each.proofs.get(snapshot.tree) ?? []));
  const verificationsOf = (tree: string): readonly Verified[] => read.flatMap((each) => each.verified.get(tree) ?? []);
  const verified = own.findLast(({ snapshot }) => verificationsOf(snapshot.tree).length > 0)?.snapshot;
  const odd = read.flatMap(({ anomalies, status }) => {
    const there = own.filter(({ repository }) => repository === status.name).map(({ snapshot }) => snapshot);
    return openAnomalies(anomalies, there);
  });
  const sizeBytes = newest && summaryNumber(newest.snapshot, 'total_bytes_processed');
  const trees = new Set<string>(own.map(({ snapshot }) => snapshot.tree));
  const passed = read.flatMap((each) => each.passed.filter(({ tree }) => trees.has(tree)));
  const restore = restoreTimeOf(passed.map(timedRestore), sizeBytes);
  const proof = proofs.toSorted((left, right) => Date.parse(left.time) - Date.parse(right.time)).at(-1);
  return {
    name,
    tier,
    snapshots: own.length,
    newest: newest && { id: newest.snapshot.id, time: newest.snapshot.time, repository: newest.repository },
    journal,
    isJournalWanted,
    freshest,
    ageMs,
    rpoMs,
    rpo: rpoState({ ageMs, rpoMs, isComplete }),
    rtoMs,
    rto: rtoStateOf(restore, rtoMs),
    restore,
    sizeBytes,
    proof: proof && { outcome: proof.outcome, time: proof.time, message: proof.message },
    anomalies: odd.map(({ snapshot, time, facts }) => ({ snapshot, time, facts })),
    verified: verified && {
      id: verified.id,
      time: verified.time,
      verifications: verificationsOf(verified.tree),
    },
  };
}

const timedRestore = ({ time, durationSeconds, restoredBytes }: Proof): TimedRestore => ({
  atMs: Date.parse(time),
  tookMs: durationSeconds * 1000,
  restoredBytes,
});

function freshness(snapshotMs: number | undefined, journalMs: number | undefined, nowMs: number) {
  const newestMs = Math.max(snapshotMs ?? -Infinity, journalMs ?? -Infinity);
  if (newestMs === -Infinity) return { ageMs: undefined, freshest: undefined };
  const freshest = journalMs === newestMs ? ('journal' as const) : ('snapshot' as const);
  return { ageMs: Math.max(0, nowMs - newestMs), freshest };
}

const timeOf = ({ time }: StoredSnapshot): number => Temporal.Instant.from(time).epochMilliseconds;

/** A newer snapshot may lie in a repository that could not be read, so its silence never breaches an RPO. */
export function rpoState(known: {
  readonly ageMs: number | undefined;
  readonly rpoMs: number | undefined;
  readonly isComplete: boolean;
}): RpoState {
  const { ageMs, rpoMs, isComplete } = known;
  if (rpoMs === undefined) return 'none';
  if (ageMs !== undefined && ageMs <= rpoMs) return 'met';
  return isComplete ? 'breached' : 'unknown';
}

const rpoPaints: Readonly<Record<RpoState, Paint>> = { met: 'green', breached: 'red', unknown: 'yellow', none: 'dim' };
const proofPaints: Readonly<Record<Proof['outcome'], Paint>> = {
  passed: 'green',
  failed: 'red',
  inconclusive: 'yellow',
};

export function renderStatus({ application, components, standbys, repositories }: StatusData, style: Style): string {
  const parts: string[] = [];
  if (application !== undefined) parts.push(style.paint('bold', application));
  const columns = [
    { title: 'Component', shrinksTo: 10 },
    { title: 'Newest', shrinksTo: 10 },
    { title: 'RPO', shrinksTo: 8 },
    { title: 'Proven', shrinksTo: 8 },
    { title: 'Size', align: 'right' as const },
    { title: 'Snapshots', align: 'right' as const },
  ];
  const rows = components.map((component) => [
    component.name,
    newestWords(component, style),
    rpoWords(component, style),
    proofWords(component, style),
    bytes(component.sizeBytes),
    String(component.snapshots),
  ]);
  const journals = components.flatMap((component) => journalLines(component, style));
  const restores = components.flatMap((component) => rtoLines(component, style));
  const followers = standbys.flatMap((standby) => standbyLines(standby, style));
  const shown = components.length === 0 ? 'no components, and no snapshots' : table(columns, rows, style);
  parts.push([shown, ...restores, ...journals, ...followers].join('\n'));
  parts.push(repositories.flatMap((repository) => repositoryLines(repository, style)).join('\n'));
  return parts.join('\n\n');
}

function newestWords({ newest, freshest, ageMs = 0 }: ComponentStatus, style: Style): string {
  if (newest === undefined) return 'none';
  const journalTime = new Date(style.nowMs - ageMs).toISOString();
  return freshest === 'journal' ? `${ageWords(journalTime, style)}, journal` : ageWords(newest.time, style);
}

function journalLines({ name, journal, isJournalWanted }: ComponentStatus, style: Style): string[] {
  if (journal !== undefined) return wrap(reachText(name, journal, style), style.widthColumns);
  if (!isJournalWanted) return [];
  const what = `nothing leads on from a backup: it takes a physical one, and 'lifeboat journal run ${name}'`;
  return wrap(`journal of ${name}: ${style.paint('yellow', what)}`, style.widthColumns);
}

function rpoWords({ rpo, rpoMs }: ComponentStatus, style: Style): string {
  const limit = rpoMs === undefined ? '' : ` ${formatDuration(rpoMs)}`;
  return rpo === 'none' ? style.paint('dim', 'not set') : style.paint(rpoPaints[rpo], `${rpo}${limit}`);
}

function proofWords({ proof }: ComponentStatus, style: Style): string {
  if (proof === undefined) return style.paint('yellow', 'never');
  return style.paint(proofPaints[proof.outcome], `${proof.outcome} ${ageWords(proof.time, style)}`);
}

export interface ProofTrouble {
  readonly command: string;
  readonly why: string;
}

/** Newest proofs that did not pass, with the reason and what to run once it is mended. */
export function proofTroubles(components: StatusData['components']): ProofTrouble[] {
  return components.flatMap(({ name, proof }) => {
    if (proof === undefined || proof.outcome === 'passed') return [];
    const when = `${proof.time.slice(0, 16).replace('T', ' ')} UTC`;
    const what = proof.outcome === 'failed' ? 'failed' : 'could not be carried through';
    return [
      { command: `lifeboat prove ${name}`, why: `the last proof of ${name} ${what} on ${when}: ${proof.message}` },
    ];
  });
}

function troubleLines({ components }: StatusData, style: Style): string[] {
  const lines = proofTroubles(components).flatMap(({ command, why }) => [
    why,
    `hint: Mend the cause and run '${command}'; until then restore with --from latest-proven.`,
  ]);
  for (const { name, anomalies } of components) {
    const [first] = anomalies;
    if (first === undefined) continue;
    lines.push(`a backup of ${name} is unlike those before: ${first.facts.map(({ message }) => message).join('; ')}`);
    lines.push("hint: Nothing of it is removed meanwhile; look, then run 'lifeboat anomalies accept'.");
  }
  return lines.length === 0 ? [] : ['', ...lines.flatMap((line) => wrap(line, style.widthColumns))];
}

function repositoryLines(
  { name, location, snapshots, verifications, unreadableProofs, problem }: RepositoryStatus,
  style: Style,
): string[] {
  if (problem !== undefined)
    return wrap(`repository ${name}: ${style.paint('yellow', 'unknown')}: ${problem}`, style.widthColumns);
  const verified = verifications.map((each) => `${reachWords(each)} ${ageWords(each.time, style)}`).join(', ');
  const words = verified === '' ? 'never verified' : `verified: ${verified}`;
  const [unreadable] = unreadableProofs;
  const damaged =
    unreadable === undefined
      ? []
      : [style.paint('yellow', `${count(unreadableProofs.length, 'proof')} can't be read, the first in ${unreadable}`)];
  return [
    ...wrap(`repository ${name}: ${count(snapshots ?? 0, 'snapshot')} at ${location}`, style.widthColumns),
    ...[words, ...damaged].flatMap((text) => wrap(text, style.widthColumns - 2).map((line) => `  ${line}`)),
  ];
}
