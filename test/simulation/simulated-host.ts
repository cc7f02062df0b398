// One process of a simulated history: its view of a store that may fail, hang for half an hour, or die with it.
import { setImmediate as turn } from 'node:timers/promises';
import type { Clock } from '../../src/base/clock.ts';
import type { Random } from '../../src/base/random.ts';
import { faultyStore } from '../../src/storage/faulty.ts';
import type { Store } from '../../src/storage/store.ts';

export interface SimulatedClock extends Clock {
  advance(ms: number): void;
}

export function simulatedClock(): SimulatedClock {
  let nowMs = 1_700_000_000_000;
  return {
    now: () => nowMs,
    advance: (ms) => {
      nowMs += ms;
    },
  };
}

/** Stops one process in the middle, as a suspended machine would, until it is released. */
export interface Pause {
  readonly reached: Promise<void>;
  readonly released: Promise<void>;
  reach(): void;
  release(): void;
}

export function makePause(): Pause {
  const { promise: reached, resolve: reach } = Promise.withResolvers<void>();
  const { promise: released, resolve: release } = Promise.withResolvers<void>();
  return { reached, released, reach, release };
}

export interface HostOptions {
  readonly random: Random;
  readonly clock: SimulatedClock;
  /** What a call takes at most. */
  readonly callMsMax: number;
  readonly callsBeforeCrash?: number | undefined;
  readonly faultChance: number;
  /** Ends what hangs, as a person would. */
  readonly patience: AbortController;
  /** Whether this process may be shown old listings: who only adds survives them, whoever deletes does not. */
  readonly seesStaleLists: boolean;
  readonly pause?: { readonly pause: Pause; readonly atCall: number } | undefined;
  /** Asked to stop, as by Ctrl-C, at this call. */
  readonly interrupt?: { readonly controller: AbortController; readonly atCall: number } | undefined;
}

export interface SimulatedHost {
  readonly store: Store;
  hasCrashed(): boolean;
}

export function simulatedHost(disk: Store, options: HostOptions): SimulatedHost {
  const { random, faultChance, callsBeforeCrash, patience, seesStaleLists } = options;
  const faulty = faultyStore(slowStore(disk, options), {
    random,
    chances: {
      refused: faultChance,
      torn: faultChance,
      answerLost: faultChance,
      hang: faultChance / 4,
      staleList: seesStaleLists ? 0.3 : 0,
    },
    // A lock that nobody sees protects nobody; no program of this format survives that.
    isListedFresh: (prefix) => prefix.startsWith('locks/'),
    onFault({ kind }) {
      if (kind === 'hang') void giveUp(patience);
    },
    ...(callsBeforeCrash !== undefined && { callsBeforeCrash }),
  });
  return { store: faulty, hasCrashed: () => faulty.fired.some(({ kind }) => kind === 'crash') };
}

/** After a while in which others go on. */
async function giveUp(patience: AbortController): Promise<void> {
  for (let turns = 20; turns > 0; turns -= 1) await turn();
  patience.abort();
}

/** Calls take time, so that processes interleave. */
function slowStore(inner: Store, { random, clock, callMsMax, pause, interrupt }: HostOptions): Store {
  let calls = 0;
  const pass = async (): Promise<void> => {
    for (let turns = Math.floor(random() * 3); turns > 0; turns -= 1) await turn();
    clock.advance(Math.floor(random() * callMsMax));
  };
  /** A pause comes before a read and after a write: no lock protects between asking for the lock and the write itself. */
  const slow = async <Result>(isWrite: boolean, work: () => Promise<Result>): Promise<Result> => {
    const call = (calls += 1);
    if (interrupt?.atCall === call) interrupt.controller.abort();
    await pass();
    if (!isWrite && pause?.atCall === call) await wait(pause.pause);
    const answer = await work();
    if (isWrite && pause?.atCall === call) await wait(pause.pause);
    await pass();
    return answer;
  };
  return {
    properties: inner.properties,
    get: (name, options) => slow(false, () => inner.get(name, options)),
    put: (name, parts, options) => slow(true, () => inner.put(name, parts, options)),
    stat: (name, options) => slow(false, () => inner.stat(name, options)),
    remove: (name, options) => slow(true, () => inner.remove(name, options)),
    async *list(prefix, options) {
      yield* await slow(false, () => Array.fromAsync(inner.list(prefix, options)));
    },
    [Symbol.asyncDispose]: () => inner[Symbol.asyncDispose](),
  };
}

async function wait(pause: Pause): Promise<void> {
  pause.reach();
  await pause.released;
}
