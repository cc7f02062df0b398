import { setImmediate as turn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { AppError } from '../../base/errors.ts';
import { BaseKeeper, retryFirstMs, retryMaxMs } from './base-keeper.ts';

interface Script {
  /** What each attempt does, in order; after that all succeed. */
  readonly attempts?: readonly (() => Promise<void> | void)[];
  readonly lacking?: Readonly<Record<string, string>>;
  readonly places?: readonly string[];
}

function scene({ attempts = [], lacking = {}, places = ['local'] }: Script = {}) {
  const taken: string[] = [];
  const delays: number[] = [];
  const failures: string[] = [];
  let atOnce = 0;
  let atOnceMax = 0;
  const left = [...attempts];
  const keeper = new BaseKeeper({
    places,
    look: async (place) => lacking[place],
    async take(place, reason) {
      atOnceMax = Math.max(atOnceMax, (atOnce += 1));
      try {
        await turn();
        await left.shift()?.();
        taken.push(`${place}: ${reason}`);
      } finally {
        atOnce -= 1;
      }
    },
    onFailed: ({ error }) => {
      failures.push(error.message);
      if (error.message === 'a fault') throw error;
    },
    random: () => 1,
    sleep: async (delayMs, signal) => {
      signal?.throwIfAborted();
      delays.push(delayMs);
      await turn();
    },
  });
  return { keeper, taken, delays, failures, atOnceMax: () => atOnceMax };
}

async function settle(): Promise<void> {
  for (let round = 0; round < 200; round += 1) await turn();
}

const away = (): never => {
  throw new AppError('STORE_UNREACHABLE', 'away', { hint: 'Wait.' });
};

test('a base is taken once changes come in again, and not before', async () => {
  const { keeper, taken } = scene();
  await using _ = keeper;
  keeper.need('the slot was lost');
  await settle();
  expect(taken).toEqual([]);
  expect(keeper.needed).toBe('the slot was lost');
  keeper.streams();
  keeper.streams();
  await settle();
  expect(taken).toEqual(['local: the slot was lost']);
  expect(keeper.needed).toBeUndefined();
});

test('what an earlier receiver left undone is found by looking, where it is lacking', async () => {
  const { keeper, taken } = scene({ places: ['local', 'remote'], lacking: { remote: 'a gap' } });
  await using _ = keeper;
  keeper.streams();
  await settle();
  expect(taken).toEqual(['remote: a gap']);
});

test('a failed base is told and taken again after delays that grow up to a limit', async () => {
  const { keeper, taken, delays, failures } = scene({ attempts: Array.from({ length: 12 }, () => away) });
  await using _ = keeper;
  keeper.need('lost');
  keeper.streams();
  await settle();
  expect(failures).toHaveLength(12);
  expect(delays.slice(0, 3)).toEqual([retryFirstMs, 2 * retryFirstMs, 4 * retryFirstMs]);
  expect(delays.at(-1)).toBe(retryMaxMs);
  expect(taken).toEqual(['local: lost']);
});

test('one that fits no journal is not taken again, and stays needed', async () => {
  const refuse = (): never => {
    throw new AppError('SOURCE_UNSUPPORTED', 'a dump', { hint: 'Set method.' });
  };
  const { keeper, taken, delays, failures } = scene({ attempts: [refuse] });
  await using _ = keeper;
  keeper.need('lost');
  keeper.streams();
  await settle();
  keeper.streams();
  await settle();
  expect({ taken, delays, failures, needed: keeper.needed }).toEqual({
    taken: [],
    delays: [],
    failures: ['a dump'],
    needed: 'lost',
  });
});

test('what is lost while a base is taken asks for another one, and there are never two at once', async () => {
  const lose: () => void = () => keeper.need('second');
  const { keeper, taken, atOnceMax } = scene({ attempts: [lose], places: ['local', 'remote'] });
  await using _ = keeper;
  keeper.need('first');
  keeper.streams();
  await settle();
  expect(taken).toEqual(['local: first']);
  keeper.streams();
  await settle();
  expect(taken.slice(1).toSorted()).toEqual(['local: second', 'remote: second']);
  expect(atOnceMax()).toBe(1);
});

test('closing ends a wait', async () => {
  const { keeper, failures } = scene({ attempts: [away] });
  keeper.need('lost');
  keeper.streams();
  await keeper[Symbol.asyncDispose]();
  expect(failures.length).toBeLessThanOrEqual(1);
  expect(keeper.needed).toBe('lost');
});

test('a fault of the program is not lost with the work that met it', async () => {
  const fault = (): never => {
    throw new Error('a fault');
  };
  const { keeper, failures } = scene({ attempts: [fault] });
  await using _ = keeper;
  keeper.need('lost');
  keeper.streams();
  await settle();
  expect(keeper.signal.reason).toMatchObject({ message: 'a fault' });
  keeper.streams();
  await settle();
  expect(failures).toEqual(['a fault']);
});
