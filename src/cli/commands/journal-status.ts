// `journal status`: how far the journal of each component reaches, here and in every repository. Works beside a running receiver
// and without one.
import { formatAge } from '../../base/duration.ts';
import { isAppError } from '../../base/errors.ts';
import type { JsonObject } from '../../base/json.ts';
import type { Finding } from '../../model/finding.ts';
import { lookAtSpool, type SpoolLook } from '../../operations/journal/spool-look.ts';
import { readSeen, seenIn, type Seen } from '../../operations/journal/seen.ts';
import { surveyJournal, type JournalSurvey, type SurveyedBranch } from '../../operations/journal/survey.ts';
import type { RepositorySettings } from '../../model/repository-settings.ts';
import type { JournalSource } from '../../sources/journal.ts';
import { defineCommand } from '../command.ts';
import type { CommandContext } from '../context.ts';
import { gapOf, type JournalGap } from './journal-gaps.ts';
import { journalSubjects, type JournalSubject } from '../journal-subject.ts';
import { lookAtStandbys, type StandbyStatus } from '../standby-look.ts';
import { standbyLines } from '../standby-words.ts';
import { requireConfiguration } from '../component-choice.ts';
import { listArgument } from '../option.ts';
import { bytes, findingLines, shortTime, wrap, type Style } from '../style.ts';
import { table } from '../table.ts';

export interface JournalRepositoryStatus {
  readonly repository: string;
  /** `running`: somebody holds the lease and renews it. */
  readonly receiver: 'running' | 'stopped' | 'never' | 'unknown';
  /** Process, user and machine of the receiver. */
  readonly receivedBy: string | undefined;
  readonly lineage: string | undefined;
  /** Of the newest branch. */
  readonly from: string | undefined;
  readonly to: string | undefined;
  /** Of the oldest change, and of the newest. */
  readonly fromTime: string | undefined;
  readonly toTime: string | undefined;
  /** By the server's clock: up to then nothing happened that is not safe there, as far as is known here. */
  readonly receivedTime: string | undefined;
  readonly lagMs: number | undefined;
  /** What the spool of this machine has more. */
  readonly lagBytes: number | undefined;
  readonly gaps: readonly Omit<JournalGap, 'component' | 'repository'>[];
  readonly problem: string | undefined;
}

export interface JournalComponentStatus {
  readonly component: string;
  readonly spool:
    | { readonly folder: string; readonly usedBytes: number; readonly place: string | undefined }
    | undefined;
  readonly repositories: readonly JournalRepositoryStatus[];
  /** What the server says of it, where it could be asked. */
  readonly server: readonly Finding[];
}

export interface JournalStatusData {
  readonly components: readonly JournalComponentStatus[];
  /** That follow a journal on this machine, or should. */
  readonly standbys: readonly StandbyStatus[];
}

const serverWaitMaxMs = 10_000;

export const journalStatusCommand = defineCommand({
  summary: 'Show how far the journals reach',
  details:
    'Per component and repository: who receives, the stretch that is kept, how old the newest change there is, what still waits in the spool of this machine, gaps, and what the server says of its replication slot, or of its archive_command where that hands the journal over. Exit code 21: there is a gap, or something could not be looked at.',
  examples: ['lifeboat journal status', 'lifeboat journal status database --json'],
  arguments: { names: listArgument('[component...]', 'components; all with a journal if absent') },
  options: {},
  async run(context, { names }): Promise<JournalStatusData> {
    const components: JournalComponentStatus[] = [];
    for (const subject of await journalSubjects(context, names)) components.push(await statusOf(context, subject));
    const { application } = await requireConfiguration(context);
    return { components, standbys: await lookAtStandbys(context, application, names) };
  },
  render: renderStatus,
  exitCode({ components }) {
    const all = components.flatMap(({ repositories }) => repositories);
    return all.some(({ gaps, problem }) => gaps.length > 0 || problem !== undefined) ? 21 : 0;
  },
});

async function statusOf(context: CommandContext, subject: JournalSubject): Promise<JournalComponentStatus> {
  const { component, source, spoolFolder, repositories } = subject;
  const [spool, seen, server, ...found] = await Promise.all([
    lookAtSpool(spoolFolder),
    readSeen(spoolFolder),
    askServer(subject, context.signal),
    ...repositories.map((settings) => surveyOf(context, settings, subject)),
  ]);
  return {
    component,
    spool: spool && { folder: spoolFolder, usedBytes: spool.usedBytes, place: placeOf(source, spool) },
    repositories: found.map((one) => repositoryStatus(one, { source, spool, seen, nowMs: context.clock.now() })),
    server,
  };
}

interface Found {
  readonly repository: string;
  readonly survey: JournalSurvey | undefined;
  readonly problem: string | undefined;
}

async function surveyOf(
  context: CommandContext,
  settings: RepositorySettings,
  { family }: JournalSubject,
): Promise<Found> {
  try {
    await using opened = await context.openRepository(settings, 'read');
    const survey = await surveyJournal(opened.repository, { family, withFacts: true }, context.signal);
    return { repository: settings.name, survey, problem: survey.problems[0]?.message };
  } catch (error) {
    context.signal.throwIfAborted();
    if (!isAppError(error)) throw error;
    return { repository: settings.name, survey: undefined, problem: error.message };
  }
}

/** A server that is away is no reason to show nothing. */
async function askServer(
  { source, settings, incomingFolder }: JournalSubject,
  signal: AbortSignal,
): Promise<Finding[]> {
  const within = AbortSignal.any([signal, AbortSignal.timeout(serverWaitMaxMs)]);
  const { handover } = source;
  const isPushed = settings.from === 'push' && handover !== undefined;
  try {
    return await Array.fromAsync(isPushed ? handover.check(incomingFolder, within) : source.check(within));
  } catch (error) {
    signal.throwIfAborted();
    const message = isAppError(error)
      ? error.message
      : `the server did not answer within ${formatAge(serverWaitMaxMs)}`;
    const hint = isAppError(error) ? error.hint : 'Check that the server can be reached.';
    return [{ aspect: 'server', outcome: 'inconclusive', message, hint }];
  }
}

function placeOf(source: JournalSource, { branches }: SpoolLook): string | undefined {
  const newest = branches.at(-1);
  return newest?.end === undefined ? undefined : source.describePlace(newest, newest.end);
}

interface StatusParts {
  readonly source: JournalSource;
  readonly spool: SpoolLook | undefined;
  readonly seen: Seen | undefined;
  readonly nowMs: number;
}

function repositoryStatus({ repository, survey, problem }: Found, parts: StatusParts): JournalRepositoryStatus {
  const { source } = parts;
  const gaps = (survey?.branches ?? []).flatMap((branch) => {
    return branch.holes.map((hole) => gapOf(branch, hole, (position) => source.describePlace(branch, position)));
  });
  const lease = survey?.lease;
  return {
    repository,
    receiver: receiverOf(survey),
    receivedBy: lease && `process ${lease.pid} of ${lease.username}@${lease.hostname}`,
    ...beginningOf(survey?.branches[0], source),
    ...endOf(survey?.branches.at(-1), parts),
    gaps,
    problem,
  };
}

function beginningOf(oldest: SurveyedBranch | undefined, source: JournalSource) {
  if (oldest === undefined) return { from: undefined, fromTime: undefined };
  const earliestMs = firstOf(oldest.oldestFacts, (facts) => source.timesOf(facts).earliestMs);
  return { from: source.describePlace(oldest, oldest.start), fromTime: isoOf(earliestMs) };
}

function endOf(newest: SurveyedBranch | undefined, { source, spool, seen, nowMs }: StatusParts) {
  const nothing = { lineage: undefined, to: undefined, toTime: undefined };
  if (newest === undefined) return { ...nothing, receivedTime: undefined, lagMs: undefined, lagBytes: undefined };
  const times = newest.newestFacts.map((facts) => source.timesOf(facts));
  const receivedMs = laterTime(times.find((one) => one.receivedMs !== undefined)?.receivedMs, seenIn(seen, newest));
  return {
    lineage: newest.lineage,
    to: source.describePlace(newest, newest.end),
    toTime: isoOf(times.find((one) => one.latestMs !== undefined)?.latestMs),
    receivedTime: isoOf(receivedMs),
    lagMs: receivedMs === undefined ? undefined : Math.max(0, nowMs - receivedMs),
    lagBytes: spool && lagBytes(newest, spool),
  };
}

/** An idle server writes nothing: that it was heard of then tells as much. */
function laterTime(one: number | undefined, other: number | undefined): number | undefined {
  return one === undefined || other === undefined ? (one ?? other) : Math.max(one, other);
}

function receiverOf(survey: JournalSurvey | undefined): JournalRepositoryStatus['receiver'] {
  if (survey === undefined) return 'unknown';
  if (survey.lease === undefined) return 'never';
  return survey.lease.isOver ? 'stopped' : 'running';
}

function lagBytes({ lineage, segmentBytes, end }: SurveyedBranch, { branches }: SpoolLook): number | undefined {
  const spooled = branches.find((branch) => branch.lineage === lineage)?.end;
  if (spooled === undefined) return undefined;
  return Math.max(0, (spooled.segment - end.segment) * segmentBytes + spooled.offset - end.offset);
}

function firstOf(all: readonly JsonObject[], read: (facts: JsonObject) => number | undefined): number | undefined {
  return all.map(read).find((value) => value !== undefined);
}

const isoOf = (ms: number | undefined): string | undefined =>
  ms === undefined ? undefined : new Date(ms).toISOString();

function renderStatus({ components, standbys }: JournalStatusData, style: Style): string {
  if (components.length === 0) return 'no component has a journal; write `journal: {}` for one in lifeboat.yaml';
  const followers = standbys.flatMap((standby) => standbyLines(standby, style));
  const parts = components.map((component) => renderComponent(component, style));
  return [...parts, ...(followers.length === 0 ? [] : [followers.join('\n')])].join('\n\n');
}

function renderComponent({ component, spool, repositories, server }: JournalComponentStatus, style: Style): string {
  const columns = [
    { title: 'Repository', shrinksTo: 10 },
    { title: 'Receiver', shrinksTo: 8 },
    { title: 'From', shrinksTo: 16 },
    { title: 'To', shrinksTo: 16 },
    { title: 'Age', align: 'right' as const },
    { title: 'To ship', align: 'right' as const },
    { title: 'Gaps', align: 'right' as const },
  ];
  const rows = repositories.map((one) => [
    one.repository,
    one.receiver === 'running' ? style.paint('green', one.receiver) : style.paint('yellow', one.receiver),
    [one.from ?? 'nothing', ...(one.fromTime === undefined ? [] : [shortTime(one.fromTime, style)])].join(' '),
    [one.to ?? 'nothing', ...(one.toTime === undefined ? [] : [shortTime(one.toTime, style)])].join(' '),
    one.lagMs === undefined ? '' : formatAge(one.lagMs),
    one.lagBytes === undefined ? '' : bytes(one.lagBytes),
    one.gaps.length === 0 ? '0' : style.paint('red', String(one.gaps.length)),
  ]);
  const here =
    spool === undefined
      ? 'no spool on this machine'
      : `spool: ${bytes(spool.usedBytes)} in ${spool.folder}${spool.place === undefined ? '' : `, at ${spool.place}`}`;
  const problems = repositories.flatMap(({ repository, problem }) =>
    problem === undefined ? [] : [`${repository}: ${style.paint('yellow', 'unknown')}: ${problem}`],
  );
  return [
    style.paint('bold', component),
    table(columns, rows, style),
    ...[here, ...problems].flatMap((line) => wrap(line, style.widthColumns)),
    ...findingLines(server, style),
  ].join('\n');
}
