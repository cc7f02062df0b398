// What is done where a standby stands still: its rows are compared or remembered, and folders that the replay would make are looked at.
import type { Clock } from '../../../base/clock.ts';
import { AppError, asError, errorKinds, isAppError } from '../../../base/errors.ts';
import type { StandbyRequest } from '../../standby.ts';
import { markedLsn } from '../instant-mark.ts';
import { newTablespaceFindings } from '../recovery/replay-decision.ts';
import type { ServerAddress } from '../server-address.ts';
import { formatLsn, type Lsn, parseLsn } from '../wal/lsn.ts';
import type { WalEvent } from '../wal/record-event.ts';
import { compareAtBase, rememberRows } from './standby-rows.ts';
import { isAt, type StandbyStop, StandbyStops } from './standby-stops.ts';
import type { StateKeeper } from './state-keeper.ts';
import type { WalSupply } from './wal-supply.ts';

export interface WorkOptions {
  readonly request: StandbyRequest;
  readonly clock: Clock;
  readonly description: string;
  readonly keeper: StateKeeper;
  readonly supply: Pick<WalSupply, 'given' | 'view' | 'limitTo'>;
}

/** A mark that the server never gets to is no position of a record. */
const pauseMaxMs = 60_000;
/** Where hashing all rows takes long, at the most a fifth of its time is spent on standing still. */
const goingPerPause = 4;
const longPauseMs = 60_000;
const tryAgainMs = 5_000;

export class WorkAtStops {
  readonly #options: WorkOptions;
  readonly #stops = new StandbyStops();
  #working: Promise<void> | undefined;
  #problem: string | undefined;
  #fault: Error | undefined;
  #notBeforeMs = -Infinity;
  #pausedSinceMs: number | undefined;
  #lastPause = { endedMs: -Infinity, tookMs: 0 };

  constructor(options: WorkOptions) {
    this.#options = options;
    const { state } = options.keeper;
    const consistent = parseLsn(state.consistentLsn) ?? 0n;
    if (!state.isCompared && options.supply.given <= consistent) this.#stopAt({ kind: 'base', lsn: consistent });
  }

  get isWorking(): boolean {
    return this.#working !== undefined;
  }

  /** Why it stands there longer. */
  get problem(): string | undefined {
    return this.#problem;
  }

  /** A fault of the program ends the run. */
  throwIfFailed(): void {
    if (this.#fault !== undefined) throw this.#fault;
  }

  /** It can't be passed: another backup may lead round it. */
  get obstacle(): string | undefined {
    return this.#stops.next?.kind === 'tablespace' ? this.#problem : undefined;
  }

  /** A record that is about to be given. */
  note(event: WalEvent): void {
    const { clock, keeper, request, supply } = this.#options;
    const { given } = supply;
    if (event.kind === 'tablespace') {
      const { lsn, oid, location } = event;
      if (lsn >= given && location.startsWith('/')) this.#stopAt({ kind: 'tablespace', lsn, oid, location });
      return;
    }
    const lsn = markedLsn(event);
    if (lsn === undefined || lsn < given || lsn <= (parseLsn(keeper.state.consistentLsn) ?? 0n)) return;
    const { endedMs, tookMs } = this.#lastPause;
    const mayPause = tookMs < longPauseMs || clock.now() - endedMs >= goingPerPause * tookMs;
    if (mayPause && !request.promotion.aborted) this.#stopAt({ kind: 'mark', lsn });
  }

  /** Begins what is to be done where it stands still, if it does by now. */
  begin(replayed: Lsn, address: ServerAddress, signal: AbortSignal): void {
    const { clock, request, supply } = this.#options;
    const { next } = this.#stops;
    const nowMs = clock.now();
    if (next === undefined || this.#working !== undefined || nowMs < this.#notBeforeMs) return;
    if (supply.given >= next.lsn) this.#pausedSinceMs ??= nowMs;
    const isThere = next.kind === 'tablespace' || isAt(replayed, next.lsn);
    const isNowhere = this.#pausedSinceMs !== undefined && nowMs - this.#pausedSinceMs > pauseMaxMs;
    // Who is to take over does not wait until all rows are hashed.
    const until = next.kind === 'tablespace' ? signal : AbortSignal.any([signal, request.promotion]);
    if (isThere) this.#working = this.#workAt(next, address, until);
    else if (replayed > next.lsn || isNowhere) this.#pass(next);
  }

  async ended(): Promise<void> {
    await this.#working;
  }

  /** It is to take over: nothing but what would harm this machine holds it up any more. */
  async letGo(): Promise<void> {
    this.#stops.clear();
    await this.#working;
    this.#options.supply.limitTo(this.#stops.next?.lsn);
  }

  #stopAt(stop: StandbyStop): void {
    this.#stops.add(stop);
    this.#options.supply.limitTo(this.#stops.next?.lsn);
  }

  #pass(stop: StandbyStop): void {
    this.#pausedSinceMs = undefined;
    this.#stops.pass(stop);
    this.#options.supply.limitTo(this.#stops.next?.lsn);
  }

  /** What fails is tried again a while later, at the same place, unless it is not worth standing still for. */
  async #workAt(stop: StandbyStop, address: ServerAddress, signal: AbortSignal): Promise<void> {
    const { clock } = this.#options;
    const startMs = clock.now();
    try {
      await this.#work(stop, address, signal);
      this.#problem = undefined;
      if (stop.kind !== 'tablespace') this.#lastPause = { endedMs: clock.now(), tookMs: clock.now() - startMs };
      this.#pass(stop);
    } catch (error) {
      if (signal.aborted) return;
      if (!isAppError(error)) this.#fault = asError(error);
      else if (isHopeless(stop, error)) this.#giveUp(stop, error);
      else this.#problem = error.message;
      this.#notBeforeMs = clock.now() + tryAgainMs;
    } finally {
      this.#working = undefined;
    }
  }

  #giveUp(stop: StandbyStop, { message, hint }: AppError): void {
    const what = `not compared at ${formatLsn(stop.lsn)}: ${message}`;
    this.#options.request.events.warn({ aspect: 'proof', outcome: 'warning', message: what, hint });
    this.#problem = undefined;
    this.#pass(stop);
  }

  async #work(stop: StandbyStop, address: ServerAddress, signal: AbortSignal): Promise<void> {
    const { request, description, keeper, supply } = this.#options;
    const rows = { request, state: keeper.state, description };
    switch (stop.kind) {
      case 'base':
        await compareAtBase(rows, address, signal);
        return keeper.change({ isCompared: true });
      case 'mark':
        return rememberRows(rows, { address, lsn: stop.lsn, lineage: supply.view.goal.lineage }, signal);
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
}

/** The next backup brings another mark; a fingerprint that can't be read stays so. What would harm this machine is never passed. */
function isHopeless({ kind }: StandbyStop, { code }: AppError): boolean {
  return kind === 'mark' || (kind === 'base' && errorKinds[code].retry === 'never');
}
