// A store that fails in the ways real ones do, chosen by a seeded generator: for simulations and tests. It counts the
// calls and tells which faults fired, so that a test can show that what it survived really happened.
import { AppError } from '../base/errors.ts';
import type { Random } from '../base/random.ts';
import { interruption, throwIfAborted } from './interruption.ts';
import type { CallOptions, ObjectInfo, Store } from './store.ts';

export type FaultKind =
  /** An error before anything was done. */
  | 'refused'
  /** No answer until the signal aborts; the work was done or not. */
  | 'hang'
  /** Of a put: an error, and a part of the object left under a name that no listing shows. Of a listing: breaks off. */
  | 'torn'
  /** Done, but the caller gets an error. */
  | 'answerLost'
  /** A listing that lacks objects put lately and shows objects removed lately. */
  | 'staleList'
  /** The process is gone: this call and all later ones do nothing, and those under way never tell. */
  | 'crash';

export interface FaultPlan {
  readonly random: Random;
  /** Chance of each fault per call it applies to, 0…1; 0 if absent. */
  readonly chances?: Partial<Record<Exclude<FaultKind, 'crash'>, number>>;
  /** How many calls are carried out before the crash; none happens if absent. */
  readonly callsBeforeCrash?: number;
  /** Objects whose listings are always up to date; all others' may be stale. */
  readonly isListedFresh?: (prefix: string) => boolean;
  /** Called as a fault fires: somebody must end what hangs. */
  readonly onFault?: (fault: FiredFault) => void;
}

export interface FiredFault {
  readonly kind: FaultKind;
  readonly method: Method;
  /** Of the object, or the prefix of a listing. */
  readonly name: string;
  /** Which call it hit, from 1. */
  readonly call: number;
}

export interface FaultyStore extends Store {
  readonly callCount: number;
  /** In order. After a crash only the first call that it hit is told. */
  readonly fired: readonly FiredFault[];
}

/** Stands for the death of the process: no `AppError`, so nothing tries again or makes a report of it. */
export class CrashError extends Error {
  override readonly name = 'CrashError';
}

type Method = 'get' | 'put' | 'stat' | 'list' | 'remove' | 'settle';

/** "Lately", for stale listings: within so many calls. */
const staleCallsMax = 20;
const debrisMark = '-tmp-';

export function faultyStore(inner: Store, plan: FaultPlan): FaultyStore {
  const faults = makeFaults(plan);
  const { begin, carryOut } = faults;
  const changes = new Map<string, Change>();
  const { settle } = inner;
  return {
    get callCount() {
      return faults.callCount();
    },
    fired: faults.fired,
    properties: inner.properties,

    async get(name, options) {
      return carryOut(begin('get', name, options), () => inner.get(name, options));
    },

    async put(name, parts, options) {
      const fate = begin('put', name, options);
      await carryOut(fate, async () => {
        if (fate.kind === 'torn') {
          const bytes = Buffer.concat(parts);
          const part = bytes.subarray(0, Math.floor(bytes.length * fate.coin));
          await inner.put(`${name}${debrisMark}${fate.call}`, [part], options);
          throw fault('STORE_FAILED', 'broke off in the middle of the write');
        }
        await inner.put(name, parts, options);
        const sizeBytes = parts.reduce((sum, part) => sum + part.length, 0);
        changes.set(name, { call: fate.call, sizeBytes, isThere: true });
      });
    },

    async stat(name, options) {
      return carryOut(begin('stat', name, options), () => inner.stat(name, options));
    },

    async *list(prefix, options) {
      const fate = begin('list', prefix, options);
      await carryOut(fate, async () => {});
      const isStale = fate.kind === 'staleList' && plan.isListedFresh?.(prefix) !== true;
      const stale = isStale ? pickStale(changes, fate.call, plan.random) : nothingStale;
      for await (const found of inner.list(prefix, options)) {
        faults.checkAlive();
        if (fate.kind === 'torn' && plan.random() < 0.2) throw fault('STORE_FAILED', 'the listing broke off');
        if (!found.name.includes(debrisMark) && !stale.hidden.has(found.name)) yield found;
      }
      faults.checkAlive();
      if (fate.kind === 'torn') throw fault('STORE_FAILED', 'the listing broke off at its end');
      yield* stale.shown.filter(({ name }) => name.startsWith(prefix));
    },

    async remove(name, options) {
      const fate = begin('remove', name, options);
      await carryOut(fate, async () => {
        await inner.remove(name, options);
        const sizeBytes = changes.get(name)?.sizeBytes;
        if (sizeBytes !== undefined) changes.set(name, { call: fate.call, sizeBytes, isThere: false });
      });
    },

    ...(settle !== undefined && {
      settle: (prefix, options) => carryOut(begin('settle', prefix, options), () => settle(prefix, options)),
    }),

    [Symbol.asyncDispose]: () => inner[Symbol.asyncDispose](),
  };
}

/** Decides what becomes of each call, and keeps count. */
function makeFaults(plan: FaultPlan) {
  const fired: FiredFault[] = [];
  let callCount = 0;
  let isCrashed = false;

  function checkAlive(): void {
    if (isCrashed) throw new CrashError('the simulated process is dead');
  }

  function begin(method: Method, name: string, options: CallOptions | undefined): Fate {
    checkAlive();
    throwIfAborted(options?.signal);
    callCount += 1;
    const call = callCount;
    if (call > (plan.callsBeforeCrash ?? Infinity)) {
      isCrashed = true;
      fired.push({ kind: 'crash', method, name, call });
      checkAlive();
    }
    // Each kind draws its number in any case: the fate of later calls must not depend on that of this one.
    const hits = faultsOf[method].filter((kind) => plan.random() < (plan.chances?.[kind] ?? 0));
    const coin = plan.random();
    const kind = hits[0];
    if (kind !== undefined) {
      const one = { kind, method, name, call };
      fired.push(one);
      plan.onFault?.(one);
    }
    return { kind, coin, call, signal: options?.signal };
  }

  /** Carries one call out as its fate has it. Whatever comes after a crash is not told. */
  async function carryOut<T>(fate: Fate, work: () => Promise<T>): Promise<T> {
    try {
      if (fate.kind === 'refused') throw fault('STORE_UNREACHABLE', 'refused before anything was done');
      if (fate.kind === 'hang') {
        if (fate.coin < 0.5) await work();
        return await hang(fate.signal);
      }
      const answer = await work();
      if (fate.kind === 'answerLost') throw fault('STORE_UNREACHABLE', 'done, but the answer was lost');
      return answer;
    } finally {
      checkAlive();
    }
  }

  return { begin, carryOut, checkAlive, fired, callCount: () => callCount };
}

const faultsOf: Record<Method, readonly Exclude<FaultKind, 'crash'>[]> = {
  get: ['refused', 'hang', 'answerLost'],
  put: ['refused', 'hang', 'torn', 'answerLost'],
  stat: ['refused', 'hang', 'answerLost'],
  list: ['refused', 'hang', 'torn', 'staleList'],
  remove: ['refused', 'hang', 'answerLost'],
  settle: ['refused', 'hang', 'answerLost'],
};

interface Fate {
  readonly kind: FaultKind | undefined;
  /** In [0, 1): decides the details of the fault. */
  readonly coin: number;
  readonly call: number;
  readonly signal: AbortSignal | undefined;
}

interface Change {
  readonly call: number;
  readonly sizeBytes: number;
  readonly isThere: boolean;
}

function fault(code: 'STORE_UNREACHABLE' | 'STORE_FAILED', message: string): AppError {
  return new AppError(code, `simulated fault: ${message}`, { hint: 'Survive it.' });
}

async function hang(signal: AbortSignal | undefined): Promise<never> {
  const { promise, reject } = Promise.withResolvers<never>();
  if (signal?.aborted === true) throw interruption(signal);
  signal?.addEventListener('abort', () => reject(interruption(signal)), { once: true });
  return promise;
}

interface Stale {
  readonly hidden: ReadonlySet<string>;
  readonly shown: readonly ObjectInfo[];
}

const nothingStale: Stale = { hidden: new Set(), shown: [] };

/** Of the latest changes about half, by chance, are not yet to be seen. */
function pickStale(changes: ReadonlyMap<string, Change>, nowCall: number, random: Random): Stale {
  const hidden = new Set<string>();
  const shown: ObjectInfo[] = [];
  for (const [name, { call, sizeBytes, isThere }] of changes) {
    if (call < nowCall - staleCallsMax || random() < 0.5) continue;
    if (isThere) hidden.add(name);
    else shown.push({ name, sizeBytes });
  }
  return { hidden, shown };
}
