// One server of a standby from its start to its end: it is fed, asked how far it is, held where its rows are compared, and watched.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Clock } from '../../../base/clock.ts';
import { AppError, asError, errorKinds, isAppError } from '../../../base/errors.ts';
import type { ReplayInstant } from '../../replay.ts';
import type { StandbyFigures, StandbyPhase, StandbyRequest } from '../../standby.ts';
import { markedLsn } from '../instant-mark.ts';
import { newTablespaceFindings } from '../recovery/replay-decision.ts';
import { formatLsn, type Lsn, parseLsn } from '../wal/lsn.ts';
import type { WalEvent } from '../wal/record-event.ts';
import { type JournalEnd, journalEnd, type JournalView, withNewSegments } from './journal-view.ts';
import { compareAtBase, compareTaken, type KnownBackups, takeRows } from './standby-rows.ts';
import type { ReplayPlaceInLog, StandbyServer } from './standby-server.ts';
import { type StandbyState, writeStandbyState } from './standby-state.ts';
import { isAt, type StandbyStop, StandbyStops } from './standby-stops.ts';
import { WalSupply } from './wal-supply.ts';

export interface RunOptions {
  readonly request: StandbyRequest;
  readonly clock: Clock;
  readonly state: StandbyState;
  readonly view: JournalView;
  /** Where it is at the least. */
  readonly from: Lsn;
  readonly description: string;
  /** How long whoever is to take over waits for a repository that does not answer. */
  readonly answerMaxMs?: number;
  /** Looks at everything anew: backups, timelines. Tells why the copy must be written anew, if it must. */
  lookAround(place: { readonly lineage: string; readonly lsn: Lsn }, signal: AbortSignal): Promise<LookAround>;
}

export interface LookAround extends KnownBackups {
  readonly view: JournalView;
  /** Why it can't go on from where it is. */
  readonly whyAnew: string | undefined;
  /** The backup that it came from is kept no more: what it shows is proven of nothing that could be restored. */
  readonly isOriginGone: boolean;
}

export type RunEnd =
  | { readonly kind: 'stopped' }
  /** It is to take over, and is as far as it gets. */
  | { readonly kind: 'promote'; readonly isJournalKnown: boolean }
  /** Started again it goes on. */
  | { readonly kind: 'again'; readonly reason: string; readonly hasAnswered: boolean }
  | { readonly kind: 'anew'; readonly reason: string };

const tickMaxMs = 250;
const lookAroundEvery = 6;
const saveEveryMs = 5_000;
/** A mark that the server never gets to is no position of a record. */
const holdMaxMs = 60_000;
/** Where hashing all rows takes long, at the most a fifth of its time is spent on standing still. */
const pausesPerHold = 4;
const longHoldMs = 60_000;
/** In a row; a listing may be older than another one. */
const lostLooksMin = 3;
const tryAgainMs = 5_000;
/** Without any progress for so long it is as far as it gets. */
const stillMs = 10_000;
/** Where the repository does not tell either. */
const stillBlindMs = 2_000;

export const answerMaxDefaultMs = 10_000;

export class StandbyRun {
  readonly #options: RunOptions;
  readonly #stops = new StandbyStops();
  readonly supply: WalSupply;
  #state: StandbyState;
  #end: JournalEnd | undefined;
  #endKey = '';
  #place: ReplayPlaceInLog | undefined;
  readonly #problems: { look?: string | undefined; loss?: string | undefined; stop?: string | undefined } = {};
  #fault: Error | undefined;
  #comparing: Promise<void> | undefined;
  #notBeforeMs = -Infinity;
  #heldSinceMs: number | undefined;
  #lastHold = { endedMs: -Infinity, tookMs: 0 };
  #nextLookMs = -Infinity;
  #looks = 0;
  #lostLooks = 0;
  #savedMs = -Infinity;
  #whyAnew: string | undefined;
  #saving: Promise<void> = Promise.resolve();

  constructor(options: RunOptions) {
    const { request, state, view, from } = options;
    this.#options = options;
    this.#state = state;
    this.supply = new WalSupply({
      journal: request.repository.journal,
      view,
      from,
      waitMs: request.intervalMs,
      onRecord: (event) => this.#note(event),
    });
    const consistent = parseLsn(state.consistentLsn) ?? 0n;
    if (!state.isCompared && from <= consistent) this.#stopAt({ kind: 'base', lsn: consistent });
  }

  /** Until it has to end; the caller stops the server. */
  async follow(server: StandbyServer, signal: AbortSignal): Promise<RunEnd> {
    const { request } = this.#options;
    const tickMs = Math.min(tickMaxMs, request.intervalMs);
    try {
      for (;;) {
        if (signal.aborted) return { kind: 'stopped' };
        await this.#tick(server, signal);
        const end = this.#ended(server);
        if (end !== undefined) return end;
        if (request.promotion.aborted) return await this.#catchUp(server, signal);
        await sleep(tickMs, undefined, { signal });
      }
    } catch (error) {
      if (signal.aborted) return { kind: 'stopped' };
      throw error;
    } finally {
      await this.#comparing;
      await this.#save(true);
    }
  }

  get state(): StandbyState {
    return this.#state;
  }

  /** As far as the server said. */
  reached(): ReplayInstant {
    const { replayed, lastCommitUs } = this.#place ?? { replayed: this.supply.given, lastCommitUs: undefined };
    return instantOf(replayed, lastCommitUs);
  }

  async #tick(server: StandbyServer, signal: AbortSignal): Promise<void> {
    if (this.#fault !== undefined) throw this.#fault;
    this.#place = (await server.place(signal)) ?? this.#place;
    if (this.#place !== undefined) this.supply.replayed(this.#place.replayed);
    await this.#look(signal);
    this.#stand(server, signal);
    await this.#save(false);
    this.#options.request.events.figures(this.#figures(server));
  }

  #ended({ watch }: StandbyServer): RunEnd | undefined {
    if (this.#whyAnew !== undefined) return { kind: 'anew', reason: this.#whyAnew };
    const hasAnswered = this.#place !== undefined;
    if (watch.hasEnded) return { kind: 'again', reason: watch.complaints || 'it ended', hasAnswered };
    // It takes over the limits that the primary was given; its own files say so by now.
    if (watch.limits !== undefined) return { kind: 'again', reason: watch.limits, hasAnswered: true };
    return undefined;
  }

  /** A record that is about to be given. */
  #note(event: WalEvent): void {
    const { given } = this.supply;
    if (event.kind === 'tablespace') {
      const { lsn, oid, location } = event;
      if (lsn >= given && location.startsWith('/')) this.#stopAt({ kind: 'tablespace', lsn, oid, location });
      return;
    }
    const lsn = markedLsn(event);
    if (lsn === undefined || lsn < given || lsn <= (parseLsn(this.#state.consistentLsn) ?? 0n)) return;
    const { endedMs, tookMs } = this.#lastHold;
    const mayHold = tookMs < longHoldMs || this.#options.clock.now() - endedMs >= pausesPerHold * tookMs;
    if (mayHold && !this.#options.request.promotion.aborted) this.#stopAt({ kind: 'mark', lsn });
  }

  #stopAt(stop: StandbyStop): void {
    this.#stops.add(stop);
    this.supply.limitTo(this.#stops.next?.lsn);
  }

  #pass(stop: StandbyStop): void {
    this.#heldSinceMs = undefined;
    this.#stops.pass(stop);
    this.supply.limitTo(this.#stops.next?.lsn);
  }

  /** What is to be done where it stands still, if it does by now. */
  #stand(server: StandbyServer, signal: AbortSignal): void {
    const { next } = this.#stops;
    const nowMs = this.#options.clock.now();
    if (next === undefined || this.#comparing !== undefined || this.#place === undefined) return;
    if (nowMs < this.#notBeforeMs) return;
    const { replayed } = this.#place;
    if (this.supply.given >= next.lsn) this.#heldSinceMs ??= nowMs;
    const isThere = next.kind === 'tablespace' || isAt(replayed, next.lsn);
    const isNowhere = this.#heldSinceMs !== undefined && nowMs - this.#heldSinceMs > holdMaxMs;
    // Who is to take over does not wait until all rows are hashed.
    const until = next.kind === 'tablespace' ? signal : AbortSignal.any([signal, this.#options.request.promotion]);
    if (isThere) this.#comparing = this.#workAt(next, server, until);
    else if (replayed > next.lsn || isNowhere) this.#pass(next);
  }

  /** What fails is tried again a while later, at the same place, unless it is not worth standing still for. */
  async #workAt(stop: StandbyStop, server: StandbyServer, signal: AbortSignal): Promise<void> {
    const { clock } = this.#options;
    const startMs = clock.now();
    try {
      await this.#work(stop, server, signal);
      this.#problems.stop = undefined;
      if (stop.kind !== 'tablespace') this.#lastHold = { endedMs: clock.now(), tookMs: clock.now() - startMs };
      this.#pass(stop);
    } catch (error) {
      if (signal.aborted) return;
      if (!isAppError(error)) this.#fault = asError(error);
      else if (isHopeless(stop, error)) this.#giveUp(stop, error);
      else this.#problems.stop = error.message;
      this.#notBeforeMs = clock.now() + tryAgainMs;
    } finally {
      this.#comparing = undefined;
    }
  }

  #giveUp(stop: StandbyStop, { message, hint }: AppError): void {
    const what = `not compared at ${formatLsn(stop.lsn)}: ${message}`;
    this.#options.request.events.warn({ aspect: 'proof', outcome: 'warning', message: what, hint });
    this.#problems.stop = undefined;
    this.#pass(stop);
  }

  async #work(stop: StandbyStop, { address }: StandbyServer, signal: AbortSignal): Promise<void> {
    const { request, description } = this.#options;
    const rows = { request, state: this.#state, description };
    switch (stop.kind) {
      case 'base':
        await compareAtBase(rows, address, signal);
        this.#state = { ...this.#state, isCompared: true };
        return this.#save(true);
      case 'mark':
        return takeRows(rows, { address, lsn: stop.lsn, lineage: this.supply.view.goal.lineage }, signal);
      case 'tablespace': {
        const [finding] = await newTablespaceFindings([stop]);
        if (finding?.outcome === 'failed')
          throw new AppError('TARGET_UNSAFE', `tablespace ${stop.oid}: ${finding.message}`, {
            hint: finding.hint ?? 'Take a new backup.',
          });
        if (finding !== undefined) request.events.warn(finding);
        return undefined;
      }
      default:
        return stop satisfies never;
    }
  }

  async #look(signal: AbortSignal): Promise<void> {
    const { request, clock, answerMaxMs = answerMaxDefaultMs } = this.#options;
    const nowMs = clock.now();
    if (nowMs < this.#nextLookMs) return;
    this.#nextLookMs = nowMs + request.intervalMs;
    // A store that is away is tried for minutes: too long for whoever takes over because all is away.
    const { promotion } = request;
    const patience = promotion.aborted ? AbortSignal.timeout(answerMaxMs) : promotion;
    const until = AbortSignal.any([signal, patience]);
    try {
      const isAround = this.#looks % lookAroundEvery === 0 || this.#lostLooks > 0;
      this.#looks += 1;
      if (isAround) await this.#lookAround(until);
      else this.supply.see(await withNewSegments(this.supply.view, request.repository.journal, until));
      await this.#lookAtEnd(until);
      this.#seeLoss();
      this.#problems.look = undefined;
    } catch (error) {
      signal.throwIfAborted();
      if (!isAppError(error) && !patience.aborted) throw error;
      this.#problems.look = isAppError(error) ? error.message : 'the repository does not answer'; // It goes on with what it has.
    }
  }

  /** What is told of the newest segment changes with its bytes only. */
  async #lookAtEnd(signal: AbortSignal): Promise<void> {
    const { goal } = this.supply.view;
    const last = goal.segments.at(-1);
    const key = `${last?.segment}:${last?.sizeBytes}:${last?.isSealed} ${goal.lineage}`;
    if (key === this.#endKey) return;
    this.#end = (await journalEnd(this.supply.view, this.#options.request.repository.journal, signal)) ?? this.#end;
    this.#endKey = key;
  }

  async #lookAround(signal: AbortSignal): Promise<void> {
    const lineage = this.supply.view.goal.lineage;
    const around = await this.#options.lookAround({ lineage, lsn: this.supply.given }, signal);
    const isPromoted = this.#options.request.promotion.aborted;
    const gone = around.isOriginGone && !isPromoted ? 'the backup that it came from is not kept any more' : undefined;
    this.#whyAnew = around.whyAnew ?? gone;
    if (around.whyAnew !== undefined) return;
    this.supply.see(around.view);
    if (around.view.goal.lineage !== this.#state.lineage) {
      this.#state = { ...this.#state, lineage: around.view.goal.lineage };
      await this.#save(true);
      this.#options.request.events.note(`follows timeline ${around.view.goal.timeline} from now on`);
    }
    if (this.#comparing === undefined && !isPromoted)
      await compareTaken({ ...this.#options, state: this.#state }, around, signal);
    this.#leap(around);
  }

  /** Whether what comes next is not kept although more is: nothing but a newer backup leads on. */
  #seeLoss(): void {
    const { reach, given, limit, failure } = this.supply;
    // A segment that is damaged stays so.
    const isDamaged = isAppError(failure) && errorKinds[failure.code].retry === 'never';
    const problem = this.supply.problem ?? (isDamaged ? failure.message : undefined);
    const isLost =
      problem !== undefined || (limit === undefined && reach.hole !== undefined && reach.hole.from <= given);
    this.#lostLooks = isLost ? this.#lostLooks + 1 : 0;
    this.#problems.loss =
      this.#lostLooks < lostLooksMin
        ? undefined
        : (problem ?? `what follows ${formatLsn(given)} is not in the journal; a new backup lets it go on`);
  }

  #leap({ bases }: LookAround): void {
    const why = this.#problems.loss ?? (this.#stops.next?.kind === 'tablespace' ? this.#problems.stop : undefined);
    const [newest] = bases;
    if (why !== undefined && newest !== undefined && newest.consistentLsn > this.supply.given) this.#whyAnew = why;
  }

  async #save(isDue: boolean): Promise<void> {
    const nowMs = this.#options.clock.now();
    const replayedLsn = formatLsn(this.#place?.replayed ?? parseLsn(this.#state.replayedLsn) ?? 0n);
    const isNew = replayedLsn !== this.#state.replayedLsn && nowMs - this.#savedMs >= saveEveryMs;
    if (!isDue && !isNew) return;
    this.#savedMs = nowMs;
    this.#state = { ...this.#state, replayedLsn };
    // One after the other: whoever compares saves beside whoever looks, and both would write the same file.
    const saving = this.#saving.then(() => writeStandbyState(this.#options.request.folder, this.#state));
    this.#saving = saving.catch(() => undefined); // Told to its caller.
    await saving;
  }

  /** As far as the journal goes, if the repository tells; else as far as it is. */
  async #catchUp(server: StandbyServer, signal: AbortSignal): Promise<RunEnd> {
    this.#stops.clear();
    await this.#comparing;
    this.supply.limitTo(this.#stops.next?.lsn);
    this.#looks = 0;
    this.#nextLookMs = -Infinity;
    await this.#tick(server, signal);
    const isJournalKnown = this.#problems.look === undefined;
    let before = { replayed: -1n, atMs: this.#options.clock.now() };
    for (;;) {
      const end = this.#ended(server);
      if (end !== undefined) return end;
      const replayed = this.#place?.replayed ?? 0n;
      const nowMs = this.#options.clock.now();
      if (replayed !== before.replayed) before = { replayed, atMs: nowMs };
      const isThere = this.#end !== undefined && replayed >= this.#end.lsn;
      const isBlind = this.#problems.look !== undefined;
      if (isBlind) this.#nextLookMs = Infinity; // Once is enough.
      if (this.#place !== undefined && (isThere || nowMs - before.atMs > (isBlind ? stillBlindMs : stillMs))) {
        return { kind: 'promote', isJournalKnown: isJournalKnown && this.#problems.look === undefined };
      }
      await sleep(tickMaxMs, undefined, { signal });
      await this.#tick(server, signal);
    }
  }

  #figures(server: StandbyServer): StandbyFigures {
    const { nowMs, lagBytes } = { nowMs: this.#options.clock.now(), lagBytes: this.#lagBytes() };
    const upToUs = lagBytes === 0 ? (this.#end?.receivedUs ?? this.#end?.lastCommitUs) : this.#place?.lastCommitUs;
    const { host, port, user } = server.address;
    return {
      phase: this.#phase(),
      replayed: this.#place && instantOf(this.#place.replayed, this.#place.lastCommitUs),
      journal: this.#end && instantOf(this.#end.lsn, this.#end.lastCommitUs),
      lagBytes,
      ageMs: upToUs === undefined ? undefined : Math.max(0, nowMs - upToUs / 1000),
      connection: this.#place === undefined ? undefined : `psql -h ${host} -p ${port} -U ${user} postgres`,
      problem: this.#problem(),
    };
  }

  #lagBytes(): number | undefined {
    if (this.#place === undefined || this.#end === undefined) return undefined;
    const { replayed } = this.#place;
    return isAt(replayed, this.#end.lsn) || replayed > this.#end.lsn ? 0 : Number(this.#end.lsn - replayed);
  }

  #problem(): string | undefined {
    const { stop, loss, look } = this.#problems;
    return stop ?? loss ?? look ?? this.supply.failure?.message;
  }

  #phase(): StandbyPhase {
    if (this.#place === undefined) return 'starting';
    if (this.#comparing !== undefined) return 'comparing';
    return this.#problem() === undefined ? 'following' : 'waiting';
  }
}

/** The next backup brings another mark; a fingerprint that can't be read stays so. What would harm this machine is never passed. */
function isHopeless({ kind }: StandbyStop, { code }: AppError): boolean {
  return kind === 'mark' || (kind === 'base' && errorKinds[code].retry === 'never');
}

function instantOf(lsn: Lsn, timeUs: number | undefined) {
  return { position: formatLsn(lsn), ...(timeUs === undefined ? {} : { timeUs }) };
}
