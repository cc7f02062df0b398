// What the repository of a standby holds by now, looked at again and again: how far its journal goes, whether the way goes on from where
// the standby is, and which backups there are.
import type { Clock } from '../../../base/clock.ts';
import { errorKinds, isAppError } from '../../../base/errors.ts';
import type { StandbyRequest } from '../../standby.ts';
import { formatLsn, type Lsn } from '../wal/lsn.ts';
import { type JournalEnd, journalEnd, type JournalView, withNewSegments } from './journal-view.ts';
import { compareRemembered, type KnownBackups } from './standby-rows.ts';
import type { StateKeeper } from './state-keeper.ts';
import type { WalSupply } from './wal-supply.ts';
import type { WorkAtStops } from './work-at-stops.ts';

export interface LookAround extends KnownBackups {
  readonly view: JournalView;
  /** Why it can't go on from where it is. */
  readonly whyAnew: string | undefined;
  /** The backup that it came from is kept no more: what it shows is proven of nothing that could be restored. */
  readonly isOriginGone: boolean;
}

export interface WatchOptions {
  readonly request: StandbyRequest;
  readonly clock: Clock;
  readonly keeper: StateKeeper;
  readonly supply: WalSupply;
  readonly stops: Pick<WorkAtStops, 'isWorking' | 'obstacle'>;
  /** How long whoever is to take over waits for a repository that does not answer. */
  readonly answerMaxMs: number;
  /** Looks at everything anew: backups, timelines. Tells why the copy must be written anew, if it must. */
  lookAround(place: { readonly lineage: string; readonly lsn: Lsn }, signal: AbortSignal): Promise<LookAround>;
}

const lookAroundEvery = 6;
/** In a row; a listing may be older than another one. */
const lostLooksMin = 3;

export class RepositoryWatch {
  readonly #options: WatchOptions;
  #end: JournalEnd | undefined;
  #endKey = '';
  #failure: string | undefined;
  #loss: string | undefined;
  #nextLookMs = -Infinity;
  #looks = 0;
  #lostLooks = 0;
  #whyAnew: string | undefined;

  constructor(options: WatchOptions) {
    this.#options = options;
  }

  /** Of the journal. */
  get end(): JournalEnd | undefined {
    return this.#end;
  }

  /** Why it could not be looked at, the last time that was tried. */
  get failure(): string | undefined {
    return this.#failure;
  }

  /** What comes next is not kept although more is: nothing but a newer backup leads on. */
  get loss(): string | undefined {
    return this.#loss;
  }

  /** Why the copy must be written anew. */
  get whyAnew(): string | undefined {
    return this.#whyAnew;
  }

  /** At once, and at everything. */
  hurry(): void {
    this.#looks = 0;
    this.#nextLookMs = -Infinity;
  }

  giveUp(): void {
    this.#nextLookMs = Infinity;
  }

  /** If it is time. What can't be looked at is told, and the standby goes on with what it has. */
  async look(signal: AbortSignal): Promise<void> {
    const { request, clock, supply, answerMaxMs } = this.#options;
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
      else supply.see(await withNewSegments(supply.view, request.repository.journal, until));
      await this.#lookAtEnd(until);
      this.#seeLoss();
      this.#failure = undefined;
    } catch (error) {
      signal.throwIfAborted();
      if (!isAppError(error) && !patience.aborted) throw error;
      this.#failure = isAppError(error) ? error.message : 'the repository does not answer';
    }
  }

  /** What is told of the newest segment changes with its bytes only. */
  async #lookAtEnd(signal: AbortSignal): Promise<void> {
    const { request, supply } = this.#options;
    const { goal } = supply.view;
    const last = goal.segments.at(-1);
    const key = `${last?.segment}:${last?.sizeBytes}:${last?.isSealed} ${goal.lineage}`;
    if (key === this.#endKey) return;
    this.#end = (await journalEnd(supply.view, request.repository.journal, signal)) ?? this.#end;
    this.#endKey = key;
  }

  async #lookAround(signal: AbortSignal): Promise<void> {
    const { request, supply, keeper, stops } = this.#options;
    const { lineage } = supply.view.goal;
    const around = await this.#options.lookAround({ lineage, lsn: supply.given }, signal);
    const isPromoted = request.promotion.aborted;
    const gone = around.isOriginGone && !isPromoted ? 'the backup that it came from is not kept any more' : undefined;
    this.#whyAnew = around.whyAnew ?? gone;
    if (around.whyAnew !== undefined) return;
    const { goal } = around.view;
    supply.see(around.view);
    if (goal.lineage !== keeper.state.lineage) {
      await keeper.change({ lineage: goal.lineage });
      request.events.note(`follows timeline ${goal.timeline} from now on`);
    }
    if (!stops.isWorking && !isPromoted) await compareRemembered({ request, state: keeper.state }, around, signal);
    this.#leap(around);
  }

  #seeLoss(): void {
    const { reach, given, limit, failure, problem: other } = this.#options.supply;
    // A segment that is damaged stays so.
    const isDamaged = isAppError(failure) && errorKinds[failure.code].retry === 'never';
    const problem = other ?? (isDamaged ? failure.message : undefined);
    const isLost =
      problem !== undefined || (limit === undefined && reach.hole !== undefined && reach.hole.from <= given);
    this.#lostLooks = isLost ? this.#lostLooks + 1 : 0;
    this.#loss =
      this.#lostLooks < lostLooksMin
        ? undefined
        : (problem ?? `what follows ${formatLsn(given)} is not in the journal; a new backup lets it go on`);
  }

  #leap({ bases }: LookAround): void {
    const { supply, stops } = this.#options;
    const why = this.#loss ?? stops.obstacle;
    const [newest] = bases;
    if (why !== undefined && newest !== undefined && newest.consistentLsn > supply.given) this.#whyAnew = why;
  }
}
