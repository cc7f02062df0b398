// One server of a standby from its start to its end: it is fed, asked how far it is, and watched. What is done where it stands still is in
// work-at-stops.ts, what the repository holds in repository-watch.ts.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Clock } from '../../../base/clock.ts';
import type { ReplayInstant } from '../../replay.ts';
import type { StandbyFigures, StandbyPhase, StandbyRequest } from '../../standby.ts';
import { formatLsn, type Lsn } from '../wal/lsn.ts';
import type { JournalView } from './journal-view.ts';
import { RepositoryWatch, type WatchOptions } from './repository-watch.ts';
import type { ReplayPlaceInLog, StandbyServer } from './standby-server.ts';
import type { StandbyState } from './standby-state.ts';
import { isAt } from './standby-stops.ts';
import { StateKeeper } from './state-keeper.ts';
import { WalSupply } from './wal-supply.ts';
import { WorkAtStops } from './work-at-stops.ts';

export interface RunOptions extends Pick<WatchOptions, 'lookAround'> {
  readonly request: StandbyRequest;
  readonly clock: Clock;
  readonly state: StandbyState;
  readonly view: JournalView;
  /** Where it is at the least. */
  readonly from: Lsn;
  readonly description: string;
  readonly answerMaxMs?: number;
}

export type RunEnd =
  | { readonly kind: 'stopped' }
  /** It is to take over, and is as far as it gets. */
  | { readonly kind: 'promote'; readonly isJournalKnown: boolean }
  /** Started again it goes on. */
  | { readonly kind: 'again'; readonly reason: string; readonly hasAnswered: boolean }
  | { readonly kind: 'anew'; readonly reason: string };

const tickMaxMs = 250;
/** Without any progress for so long it is as far as it gets. */
const stillMs = 10_000;
/** Where the repository does not tell either. */
const stillBlindMs = 2_000;
export const answerMaxDefaultMs = 10_000;

export class StandbyRun {
  readonly #request: StandbyRequest;
  readonly #clock: Clock;
  readonly #keeper: StateKeeper;
  readonly #stops: WorkAtStops;
  readonly #watch: RepositoryWatch;
  readonly supply: WalSupply;
  #place: ReplayPlaceInLog | undefined;

  constructor(options: RunOptions) {
    const { request, clock, state, view, from, description, answerMaxMs = answerMaxDefaultMs, lookAround } = options;
    const keeper = new StateKeeper({ folder: request.folder, clock, state });
    const supply = new WalSupply({
      journal: request.repository.journal,
      view,
      from,
      waitMs: request.intervalMs,
      onRecord: (event) => this.#stops.note(event),
    });
    const shared = { request, clock, keeper, supply };
    const stops = new WorkAtStops({ ...shared, description });
    this.#request = request;
    this.#clock = clock;
    this.#keeper = keeper;
    this.#stops = stops;
    this.supply = supply;
    this.#watch = new RepositoryWatch({ ...shared, stops, answerMaxMs, lookAround });
  }

  /** Until it has to end; the caller stops the server. */
  async follow(server: StandbyServer, signal: AbortSignal): Promise<RunEnd> {
    const { intervalMs, promotion } = this.#request;
    const tickMs = Math.min(tickMaxMs, intervalMs);
    try {
      for (;;) {
        if (signal.aborted) return { kind: 'stopped' };
        await this.#tick(server, signal);
        const end = this.#ended(server);
        if (end !== undefined) return end;
        if (promotion.aborted) return await this.#catchUp(server, signal);
        await sleep(tickMs, undefined, { signal });
      }
    } catch (error) {
      if (signal.aborted) return { kind: 'stopped' };
      throw error;
    } finally {
      await this.#stops.ended();
      await this.#keeper.replayed(this.#place?.replayed, true);
    }
  }

  get state(): StandbyState {
    return this.#keeper.state;
  }

  /** As far as the server said. */
  reached(): ReplayInstant {
    const { replayed, lastCommitUs } = this.#place ?? { replayed: this.supply.given, lastCommitUs: undefined };
    return instantOf(replayed, lastCommitUs);
  }

  async #tick(server: StandbyServer, signal: AbortSignal): Promise<void> {
    this.#stops.throwIfFailed();
    this.#place = (await server.place(signal)) ?? this.#place;
    if (this.#place !== undefined) this.supply.replayed(this.#place.replayed);
    await this.#watch.look(signal);
    if (this.#place !== undefined) this.#stops.begin(this.#place.replayed, server.address, signal);
    await this.#keeper.replayed(this.#place?.replayed, false);
    this.#request.events.figures(this.#figures(server));
  }

  #ended({ watch }: StandbyServer): RunEnd | undefined {
    if (this.#watch.whyAnew !== undefined) return { kind: 'anew', reason: this.#watch.whyAnew };
    const hasAnswered = this.#place !== undefined;
    if (watch.hasEnded) return { kind: 'again', reason: watch.complaints || 'it ended', hasAnswered };
    // It takes over the limits that the primary was given; its own files say so by now.
    if (watch.limits !== undefined) return { kind: 'again', reason: watch.limits, hasAnswered: true };
    return undefined;
  }

  /** As far as the journal goes, if the repository tells; else as far as it is. */
  async #catchUp(server: StandbyServer, signal: AbortSignal): Promise<RunEnd> {
    await this.#stops.letGo();
    this.#watch.hurry();
    await this.#tick(server, signal);
    const isJournalKnown = this.#watch.failure === undefined;
    let before = { replayed: -1n, atMs: this.#clock.now() };
    for (;;) {
      const end = this.#ended(server);
      if (end !== undefined) return end;
      const replayed = this.#place?.replayed ?? 0n;
      const nowMs = this.#clock.now();
      if (replayed !== before.replayed) before = { replayed, atMs: nowMs };
      const isThere = this.#watch.end !== undefined && replayed >= this.#watch.end.lsn;
      const isBlind = this.#watch.failure !== undefined;
      if (isBlind) this.#watch.giveUp(); // Once is enough.
      if (this.#place !== undefined && (isThere || nowMs - before.atMs > (isBlind ? stillBlindMs : stillMs))) {
        return { kind: 'promote', isJournalKnown: isJournalKnown && !isBlind };
      }
      await sleep(tickMaxMs, undefined, { signal });
      await this.#tick(server, signal);
    }
  }

  #figures(server: StandbyServer): StandbyFigures {
    const { end } = this.#watch;
    const { nowMs, lagBytes } = { nowMs: this.#clock.now(), lagBytes: this.#lagBytes() };
    const upToUs = lagBytes === 0 ? (end?.receivedUs ?? end?.lastCommitUs) : this.#place?.lastCommitUs;
    const { host, port, user } = server.address;
    return {
      phase: this.#phase(),
      replayed: this.#place && instantOf(this.#place.replayed, this.#place.lastCommitUs),
      journal: end && instantOf(end.lsn, end.lastCommitUs),
      lagBytes,
      ageMs: upToUs === undefined ? undefined : Math.max(0, nowMs - upToUs / 1000),
      connection: this.#place === undefined ? undefined : `psql -h ${host} -p ${port} -U ${user} postgres`,
      problem: this.#problem(),
    };
  }

  #lagBytes(): number | undefined {
    const { end } = this.#watch;
    if (this.#place === undefined || end === undefined) return undefined;
    const { replayed } = this.#place;
    return isAt(replayed, end.lsn) || replayed > end.lsn ? 0 : Number(end.lsn - replayed);
  }

  #problem(): string | undefined {
    return this.#stops.problem ?? this.#watch.loss ?? this.#watch.failure ?? this.supply.failure?.message;
  }

  #phase(): StandbyPhase {
    if (this.#place === undefined) return 'starting';
    if (this.#stops.isWorking) return 'comparing';
    return this.#problem() === undefined ? 'following' : 'waiting';
  }
}

function instantOf(lsn: Lsn, timeUs: number | undefined) {
  return { position: formatLsn(lsn), ...(timeUs === undefined ? {} : { timeUs }) };
}
