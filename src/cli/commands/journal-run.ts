// `journal run`: receives the changes of a component as they happen, until it is told to stop. What it has taken in is on this
// machine's disk first and in every repository seconds later.
import { formatByteSize } from '../../base/byte-size.ts';
import { asError } from '../../base/errors.ts';
import type { Finding } from '../../model/finding.ts';
import { SeenNotes } from '../../operations/journal/seen.ts';
import { SpooledJournal, type JournalStatus } from '../../operations/journal/spooled-journal.ts';
import type { JournalBranch, JournalEvents, JournalProgress, JournalPosition } from '../../sources/journal.ts';
import { systemSleep } from '../../storage/interruption.ts';
import { defineCommand } from '../command.ts';
import type { CommandContext } from '../context.ts';
import { requireJournal, type JournalSubject } from '../journal-subject.ts';
import { newBases, type NewBases, type TakenBase } from '../new-bases.ts';
import { requiredArgument, switchOption } from '../option.ts';
import { bytes, shortId, wrap, type Style } from '../style.ts';

export interface JournalRunData {
  readonly component: string;
  readonly place: string | undefined;
  readonly spoolBytes: number;
  readonly repositories: readonly {
    readonly repository: string;
    readonly isComplete: boolean;
    readonly backlogBytes: number;
    readonly problem: string | undefined;
  }[];
  /** Taken because something was lost that only a new base makes good. */
  readonly newBases: readonly TakenBase[];
  /** Why one is needed that was not taken. */
  readonly needsBase: string | undefined;
}

/** What is left over is shipped by the next run; whoever stops the service does not wait for a repository that is away. */
const closeMaxMs = 10_000;
const lineEveryMs = 200;

export const journalRunCommand = defineCommand({
  summary: 'Receive the changes of a component as they happen',
  details:
    'Runs until it is stopped (Ctrl-C, SIGTERM): connects, comes back after every loss of the server or a repository, and follows a failover. What it received is durable in the spool at once and in every repository of the policy after the interval of `journal` in lifeboat.yaml. A stop ships the rest; exit code 3 says that some of it still waits in the spool for the next run. Where changes were lost (the server had removed them), a full backup is taken as soon as the stream goes on, in each repository that lacks one behind the gap. Only one receiver runs for a component; a second one is refused with 11.',
  examples: [
    'lifeboat journal run database',
    'lifeboat journal run database --take-over   # the other is gone for good',
  ],
  arguments: { component: requiredArgument('<component>', 'a component of lifeboat.yaml') },
  options: {
    takesOver: switchOption('--take-over', 'push a receiver aside that seems to live on another machine'),
    acceptsNewServer: switchOption(
      '--new-server',
      'the server was made anew on purpose (initdb, pg_upgrade): begin its journal beside the old one',
    ),
    leavesBases: switchOption('--no-new-base', 'take no full backup by itself after changes were lost; only say so'),
  },
  isLong: true,
  async run(context, { component, takesOver, acceptsNewServer, leavesBases }): Promise<JournalRunData> {
    const subject = await requireJournal(context, component);
    const journal = await openJournal(context, subject, takesOver);
    const bases = leavesBases || !mayMakeBases(subject) ? undefined : newBases(context, subject);
    const seen = new SeenNotes(subject.spoolFolder, {
      random: context.random,
      onFailed: (error) => context.progress.note(`warning: how far it is can't be noted for status: ${error.message}`),
    });
    const events = tellingEvents(context, subject, { journal, bases, seen });
    const faults = [journal.signal, ...(bases === undefined ? [] : [bases.signal])];
    const stop = AbortSignal.any([context.signal, ...faults]);
    const beside = new AbortController();
    const writing = subject.source.sentinels?.write(events, AbortSignal.any([stop, beside.signal]));
    writing?.catch(() => undefined); // Waited for below.
    try {
      await receive({ context, subject, journal, events, acceptsNewServer }, stop);
      const fault = faults.find(({ aborted }) => aborted);
      if (!context.signal.aborted) throw asError(fault?.reason);
    } finally {
      events.end();
      beside.abort();
      await bases?.[Symbol.asyncDispose]();
      await seen[Symbol.asyncDispose]();
      await ship(journal);
      events.lastStatus = journal.status();
      await journal[Symbol.asyncDispose]();
      await writing;
    }
    return dataOf(component, events, bases);
  },
  render: renderRun,
  exitCode: ({ repositories }) => (repositories.every(({ isComplete }) => isComplete) ? 0 : 3),
});

/** On a dump no journal can be replayed. */
function mayMakeBases({ configured }: JournalSubject): boolean {
  return configured.type !== 'postgres' || configured.method !== 'logical';
}

async function openJournal(
  context: CommandContext,
  subject: JournalSubject,
  takesOver: boolean,
): Promise<SpooledJournal> {
  const { family, settings, spoolFolder, repositories } = subject;
  const { clock, random } = context;
  return SpooledJournal.open({
    family,
    spool: { folder: spoolFolder, maxBytes: settings.spoolMaxBytes },
    repositories: repositories.map((one) => ({
      name: one.name,
      open: async () => (await context.openRepository(one, 'uncached')).repository,
    })),
    acknowledge: settings.acknowledge,
    intervalMs: settings.intervalMs,
    takesOver,
    closeMaxMs: 0, // The rest is shipped before, to be told of.
    events: noteEvents(context),
    clock,
    random,
    sleep: systemSleep,
  });
}

interface Receiving {
  readonly context: CommandContext;
  readonly subject: JournalSubject;
  readonly journal: SpooledJournal;
  readonly events: JournalEvents;
  readonly acceptsNewServer: boolean;
}

async function receive({ subject, journal, events, acceptsNewServer }: Receiving, signal: AbortSignal): Promise<void> {
  const { source, settings, incomingFolder } = subject;
  if (settings.from === 'push' && source.handover !== undefined)
    return source.handover.receive({ folder: incomingFolder, target: journal, events }, signal);
  return source.receive({ target: journal, events, acceptsNewServer }, signal);
}

async function ship(journal: SpooledJournal): Promise<void> {
  if (journal.signal.aborted) return;
  try {
    await journal.flush(AbortSignal.any([AbortSignal.timeout(closeMaxMs), journal.signal]));
  } catch {
    // What waits is in the status, with the reason.
  }
}

function noteEvents({ progress }: CommandContext): Pick<JournalEvents, 'note' | 'warn'> {
  return { note: (message) => progress.note(message), warn: (finding) => progress.note(warningText(finding)) };
}

function warningText({ outcome, message, hint }: Finding): string {
  const word = outcome === 'failed' ? 'error' : 'warning';
  return hint === undefined ? `${word}: ${message}` : `${word}: ${message}\nhint: ${hint}`;
}

interface TellingEvents extends JournalEvents {
  readonly newest: JournalProgress | undefined;
  readonly place: string | undefined;
  readonly needed: string | undefined;
  lastStatus: JournalStatus | undefined;
  end(): void;
}

interface Told {
  readonly journal: SpooledJournal;
  readonly bases: NewBases | undefined;
  readonly seen: SeenNotes;
}

/** Notes and warnings as they come, and a line that tells how far it is. */
function tellingEvents(
  context: CommandContext,
  { component, source }: JournalSubject,
  { journal, bases, seen }: Told,
): TellingEvents {
  const { progress, clock } = context;
  let newest: JournalProgress | undefined;
  let needed: string | undefined;
  let place: string | undefined;
  const timer = setInterval(() => {
    if (newest === undefined) return;
    const { spool, branches, repositories } = journal.status();
    const branch = branches.find(({ lineage }) => lineage === newest?.lineage);
    if (branch !== undefined) place = source.describePlace(branch, newest.receivedEnd);
    const backlog = Math.max(0, ...repositories.map(({ backlogBytes }) => backlogBytes));
    const away = repositories.filter(({ state }) => state === 'away').map(({ name }) => name);
    const behind = branch === undefined ? 0 : distance(branch, newest.receivedEnd, newest.serverEnd);
    progress.update({
      work: `journal ${component}`,
      detail: [
        `at ${place ?? '?'}`,
        ...(behind > 0 ? [`${formatByteSize(behind)} behind the server`] : []),
        ...(backlog > 0 ? [`${formatByteSize(backlog)} to ship`] : []),
        ...(away.length > 0 ? [`away: ${away.join(', ')}`] : []),
        ...(bases?.working === undefined ? [] : [bases.working]),
        ...(spool.waitsFor === undefined ? [] : [`waits for room (${spool.waitsFor})`]),
        `${Math.max(0, Math.round((clock.now() - newest.serverTimeMs) / 1000))} s`,
      ].join(', '),
    });
  }, lineEveryMs);
  return {
    ...noteEvents(context),
    lastStatus: undefined,
    get newest() {
      return newest;
    },
    get place() {
      return place;
    },
    get needed() {
      return needed;
    },
    needsBase(reason) {
      needed = reason;
      bases?.need(reason);
    },
    progress(told) {
      newest = told;
      seen.note(told);
      bases?.streams();
    },
    end: () => clearInterval(timer),
  };
}

function distance({ segmentBytes }: JournalBranch, from: JournalPosition, to: JournalPosition): number {
  return Math.max(0, (to.segment - from.segment) * segmentBytes + to.offset - from.offset);
}

function dataOf(
  component: string,
  { place, needed, lastStatus }: TellingEvents,
  bases: NewBases | undefined,
): JournalRunData {
  return {
    component,
    place,
    spoolBytes: lastStatus?.spool.usedBytes ?? 0,
    repositories: (lastStatus?.repositories ?? []).map(({ name, backlogBytes, lastError }) => ({
      repository: name,
      isComplete: backlogBytes === 0,
      backlogBytes,
      problem: lastError?.message,
    })),
    newBases: bases?.taken ?? [],
    needsBase: bases === undefined ? needed : bases.needed,
  };
}

function renderRun(data: JournalRunData, style: Style): string {
  const { component, place, repositories, newBases: bases, needsBase } = data;
  const where = place === undefined ? '' : ` at ${place}`;
  const lines = wrap(`stopped receiving ${component}${where}`, style.widthColumns);
  for (const { repository, isComplete, backlogBytes, problem } of repositories) {
    const why = problem === undefined ? '' : ` (${problem})`;
    const waits = `${bytes(backlogBytes)} wait in the spool for the next run${why}`;
    const text = `${repository}: ${isComplete ? 'has everything' : style.paint('yellow', waits)}`;
    lines.push(...wrap(text, style.widthColumns - 2).map((line) => `  ${line}`));
  }
  for (const { repository, snapshot, reason } of bases) {
    const text = `new base ${shortId(snapshot)} in ${repository}: ${reason}`;
    lines.push(...wrap(text, style.widthColumns - 2).map((line) => `  ${line}`));
  }
  if (needsBase === undefined) return lines.join('\n');
  const need = wrap(`a full backup is needed: ${needsBase}`, style.widthColumns);
  return [...lines, ...need.map((line) => style.paint('yellow', line))].join('\n');
}
