// Keeps a standby: decides whether it goes on from what is there or is written anew, runs its server, and starts it again when it ends.
import { chown } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { AppError, errorKinds, isAppError, messageOf } from '../../../base/errors.ts';
import { makeThrowAwayFolder } from '../../../base/throw-away-folder.ts';
import type { ReplayInstant, UnreadableBase } from '../../replay.ts';
import type { StandbyEnd, StandbyPhase, StandbyRequest } from '../../standby.ts';
import type { PostgresOptions } from '../options.ts';
import { notReached } from '../recovery/recovering-server.ts';
import type { MapBase } from '../recovery/replay-map.ts';
import { readReplayMap } from '../recovery/replay-map.ts';
import { reachablePrograms } from '../server-process.ts';
import { type Lsn, parseLsn } from '../wal/lsn.ts';
import { blindView, isOnWay, type JournalView, standbyMap, type StandbyPlace } from './journal-view.ts';
import { startPromoted, takeOver } from './promote-standby.ts';
import {
  findStandby,
  hasTakenOver,
  type KeptStandby,
  openStandby,
  type StandbyCopy,
  writeStandby,
} from './standby-copy.ts';
import type { LookAround } from './repository-watch.ts';
import { answerMaxDefaultMs, type RunEnd, StandbyRun } from './standby-run.ts';
import { startStandbyServer } from './standby-server.ts';
import type { StandbyState } from './standby-state.ts';
import { forgetFingerprints } from './remembered-fingerprints.ts';

interface OwnRequest extends StandbyRequest {
  onUnreadable(base: UnreadableBase): void;
}

interface Keeping {
  readonly options: PostgresOptions;
  readonly request: OwnRequest;
}

const pauseFirstMs = 1_000;
const pauseMaxMs = 60_000;
/** A server that does not even begin to answer so often has a copy that is no good. */
const silentRunsMax = 3;

export async function keepStandby(
  options: PostgresOptions,
  request: StandbyRequest,
  signal: AbortSignal,
): Promise<StandbyEnd> {
  const keeping = { options, request: { ...request, onUnreadable: tellOnce(request) } };
  const patience = new Patience(request);
  let whyAnew: string | undefined;
  while (!signal.aborted) {
    const step = await takeStep(keeping, { whyAnew, patience }, signal);
    whyAnew = step.kind === 'anew' ? step.reason : undefined;
    if (step.kind === 'took over') return startPromoted({ ...keeping, ...step }, signal);
    if (step.kind === 'again') whyAnew = patience.afterRun(step);
    if (step.kind === 'again' || step.kind === 'failed') await patience.pause(signal);
  }
  return { kind: 'stopped' };
}

/** Backups are looked at again and again. */
function tellOnce({ events }: StandbyRequest): OwnRequest['onUnreadable'] {
  const told = new Set<string>();
  return ({ id, message }) => {
    if (told.has(id)) return;
    told.add(id);
    const what = `the backup with the tree ${id.slice(0, 8)} is passed over: ${message}`;
    events.warn({ aspect: 'backup', outcome: 'warning', message: what });
  };
}

type Step =
  | Exclude<RunEnd, { kind: 'promote' }>
  | { readonly kind: 'took over'; readonly reached?: ReplayInstant; readonly isJournalKnown?: boolean }
  /** For a reason that goes by. */
  | { readonly kind: 'failed' };

interface StepParts {
  readonly whyAnew: string | undefined;
  readonly patience: Patience;
}

async function takeStep(keeping: Keeping, { whyAnew, patience }: StepParts, signal: AbortSignal): Promise<Step> {
  const { request } = keeping;
  try {
    const ready = await makeReady(keeping, whyAnew, signal);
    if (ready === 'promoted') return { kind: 'took over' };
    patience.begin(ready.isAnew);
    return await runOnce(keeping, ready, signal);
  } catch (error) {
    if (signal.aborted) return { kind: 'stopped' };
    if (!isAppError(error) || errorKinds[error.code].retry !== 'later') throw error;
    tell(request, 'waiting', error.message);
    request.events.warn({ aspect: 'standby', outcome: 'warning', message: error.message, hint: error.hint });
    return { kind: 'failed' };
  }
}

/** How often a server that ends is started again, and how soon. */
class Patience {
  readonly #request: StandbyRequest;
  #pauseMs = pauseFirstMs;
  #silentRuns = 0;
  #isAnew = false;

  constructor(request: StandbyRequest) {
    this.#request = request;
  }

  begin(isAnew: boolean): void {
    this.#isAnew ||= isAnew;
  }

  /** Why the copy is to be written anew, if it is. Rejects where that was done in vain. */
  afterRun({ reason, hasAnswered }: Extract<RunEnd, { kind: 'again' }>): string | undefined {
    this.#request.events.note(`the server is started again: ${reason}`);
    this.#silentRuns = hasAnswered ? 0 : this.#silentRuns + 1;
    if (hasAnswered) this.#pauseMs = pauseFirstMs;
    if (this.#silentRuns < silentRunsMax) return undefined;
    if (this.#isAnew) throw notReached(reason);
    this.#silentRuns = 0;
    return `its server does not start: ${reason}`;
  }

  async pause(signal: AbortSignal): Promise<void> {
    const { promotion } = this.#request;
    // Who is to take over tries at once, then as patiently as before.
    const until = promotion.aborted ? signal : AbortSignal.any([signal, promotion]);
    await sleep(this.#pauseMs, undefined, { signal: until }).catch(() => undefined); // Seen by who waits.
    this.#pauseMs = Math.min(pauseMaxMs, this.#pauseMs * 2);
  }
}

interface Ready extends KeptStandby {
  readonly copy: StandbyCopy;
  readonly view: JournalView;
  readonly isAnew: boolean;
}

async function makeReady(
  { options, request }: Keeping,
  reason: string | undefined,
  signal: AbortSignal,
): Promise<Ready | 'promoted'> {
  const { folder, events } = request;
  const found = await findStandby(folder);
  if (found !== undefined && hasTakenOver(found)) {
    if (request.promotion.aborted) return 'promoted';
    throw new AppError(
      'TARGET_UNSAFE',
      `the standby in ${folder} has taken over: what was written since is nowhere else`,
      {
        hint: 'Move the folder away, or remove it once nobody needs it; or keep another standby elsewhere with --to.',
      },
    );
  }
  const around = await mapIfKnown(request, found, signal);
  if (around === undefined) {
    const { state, control } = found as KeptStandby;
    const copy = await openStandby(options, { request, state }, signal);
    return { state, control, copy, view: blindView(state, control.segmentBytes), isAnew: false };
  }
  const { view, bases } = around;
  const whyAnew = reason ?? whyWrittenAnew(found, view, bases);
  if (found !== undefined && whyAnew === undefined) {
    const copy = await openStandby(options, { request, state: found.state }, signal);
    return { ...found, copy, view, isAnew: false };
  }
  const [base] = bases;
  if (base === undefined) throw new Error('a map has a base');
  tell(request, 'restoring', found === undefined ? undefined : whyAnew);
  events.note(`writes the standby ${found === undefined ? 'to' : 'anew over'} ${folder}: ${whyAnew ?? ''}`);
  const { lineage } = view.goal;
  const written = await request.repository.reading(
    base.id,
    (reader, until) => writeStandby({ options, request, base, lineage }, reader, until),
    signal,
  );
  await forgetFingerprints(folder);
  return { ...written, view, isAnew: true };
}

/** Undefined where a standby is to take over and the repository does not tell: then what it has must do. */
async function mapIfKnown(
  request: OwnRequest,
  found: KeptStandby | undefined,
  signal: AbortSignal,
): Promise<StandbyBases | undefined> {
  if (found === undefined || !request.promotion.aborted) return mapOf(request, signal);
  const patience = AbortSignal.timeout(answerMaxDefaultMs);
  try {
    return await mapOf(request, AbortSignal.any([signal, patience]));
  } catch (error) {
    signal.throwIfAborted();
    if (!isAppError(error) && !patience.aborted) throw error;
    return undefined;
  }
}

/** Undefined if it can be gone on with. */
function whyWrittenAnew(
  found: KeptStandby | undefined,
  view: JournalView,
  bases: readonly MapBase[],
): string | undefined {
  if (found === undefined) return 'there is none yet';
  const { state } = found;
  if (state.systemIdentifier !== view.goal.systemIdentifier) return 'the server was made anew';
  if (!bases.some(({ id }) => id === state.base)) return 'the backup that it came from is not kept any more';
  return isOnWay(view, placeOf(found)) ? undefined : leftBehind;
}

const leftBehind = 'a failover left behind what it has replayed';

function placeOf({ state, control }: KeptStandby): StandbyPlace {
  const told = parseLsn(state.replayedLsn) ?? 0n;
  return { lineage: state.lineage, lsn: control.minRecoveryLsn > told ? control.minRecoveryLsn : told };
}

interface StandbyBases extends Omit<LookAround, 'whyAnew' | 'isOriginGone'> {}

async function mapOf(request: OwnRequest, signal: AbortSignal): Promise<StandbyBases> {
  const { repository } = request;
  const candidates = await repository.bases(signal);
  const onUnreadable = (base: UnreadableBase): void => request.onUnreadable(base);
  const map = await readReplayMap({ bases: candidates, journal: repository.journal, onUnreadable }, signal);
  return { ...standbyMap(map), candidates };
}

async function lookAround(
  request: OwnRequest,
  { state, place }: { readonly state: StandbyState; readonly place: StandbyPlace },
  signal: AbortSignal,
): Promise<LookAround> {
  const around = await mapOf(request, signal);
  const isSame = around.view.goal.systemIdentifier === state.systemIdentifier;
  return {
    ...around,
    whyAnew: isSame && isOnWay(around.view, place) ? undefined : leftBehind,
    isOriginGone: !around.candidates.some(({ id }) => id === state.base),
  };
}

async function runOnce({ options, request }: Keeping, ready: Ready, signal: AbortSignal): Promise<Step> {
  const { copy, state, view } = ready;
  tell(request, 'starting', undefined);
  await using work = await makeThrowAwayFolder(options.sandboxFolder ?? tmpdir(), 'postgres');
  const { account, programs } = copy;
  if (account !== undefined) await chown(work.path, account.uid, account.gid);
  const programFolder = await reachablePrograms(programs, work.path, account);
  const from: Lsn = placeOf(ready).lsn;
  const description = `PostgreSQL ${programs.version}`;
  const run = new StandbyRun({
    request,
    clock: options.clock,
    state,
    view,
    from,
    description,
    lookAround: (place, until) => lookAround(request, { state, place }, until),
  });
  const feed = await request.openFeed({
    find: (name, until) => run.supply.find(name, until),
    parentFolder: work.path,
    account,
  });
  try {
    await using server = await startStandbyServer({ copy, programFolder, work, feed });
    const until = AbortSignal.any([signal, feed.signal]);
    const end = await run.follow(server, until);
    if (end.kind !== 'promote') {
      if (end.kind === 'stopped' && !signal.aborted) throw feedEnded(feed.signal.reason);
      return end;
    }
    await takeOver({ request, copy, server, run }, signal);
    return { kind: 'took over', reached: run.reached(), isJournalKnown: end.isJournalKnown };
  } finally {
    await feed[Symbol.asyncDispose]();
  }
}

/** Its folder is on a disk that is full, say: the next run may have more luck. */
function feedEnded(reason: unknown): AppError {
  return new AppError('RESTORE_FAILED', `the server could not be handed its files: ${messageOf(reason)}`, {
    hint: 'Look at the disk of the temporary folder.',
    cause: reason,
  });
}

function tell({ events }: StandbyRequest, phase: StandbyPhase, problem: string | undefined): void {
  const nothing = { replayed: undefined, journal: undefined, lagBytes: undefined, ageMs: undefined };
  events.figures({ ...nothing, phase, connection: undefined, problem });
}
