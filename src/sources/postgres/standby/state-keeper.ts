// The state of a standby that runs, and when it is written: at once where something was decided, else now and then as it goes on.
import type { Clock } from '../../../base/clock.ts';
import { formatLsn, type Lsn } from '../wal/lsn.ts';
import { type StandbyState, writeStandbyState } from './standby-state.ts';

const saveEveryMs = 5_000;

export class StateKeeper {
  readonly #folder: string;
  readonly #clock: Clock;
  #state: StandbyState;
  #savedMs = -Infinity;
  #saving: Promise<void> = Promise.resolve();

  constructor({ folder, clock, state }: { folder: string; clock: Clock; state: StandbyState }) {
    this.#folder = folder;
    this.#clock = clock;
    this.#state = state;
  }

  get state(): StandbyState {
    return this.#state;
  }

  async change(changes: Partial<StandbyState>): Promise<void> {
    this.#state = { ...this.#state, ...changes };
    await this.#save();
  }

  /** How far it is. */
  async replayed(lsn: Lsn | undefined, isDue: boolean): Promise<void> {
    const replayedLsn = lsn === undefined ? this.#state.replayedLsn : formatLsn(lsn);
    const isNew = replayedLsn !== this.#state.replayedLsn && this.#clock.now() - this.#savedMs >= saveEveryMs;
    if (isDue || isNew) await this.change({ replayedLsn });
  }

  /** One after the other: whoever compares saves beside whoever looks, and both would write the same file. */
  async #save(): Promise<void> {
    this.#savedMs = this.#clock.now();
    const saving = this.#saving.then(() => writeStandbyState(this.#folder, this.#state));
    this.#saving = saving.catch(() => undefined); // Told to its caller.
    await saving;
  }
}
