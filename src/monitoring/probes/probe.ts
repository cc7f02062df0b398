// One look at something, bounded in time: never more than an observation comes of it, whatever it meets.
import { errnoOf, isAppError, type AppError } from '../../base/errors.ts';
import type { Observation, ProbeSettings } from '../../model/probe.ts';
import { networkFact } from '../network-fact.ts';
import { probeDisk } from './disk-probe.ts';
import { probeDns } from './dns-probe.ts';
import { probeHttp } from './http-probe.ts';
import { conclude, down, unknown, type Look, type LookParts } from './look.ts';
import { probeProcess } from './process-probe.ts';
import { probeRedis } from './redis-probe.ts';
import { probeReplication } from './replication-probe.ts';
import { probeScript } from './script-probe.ts';
import { probeSql } from './sql-probe.ts';
import { probeTcp } from './tcp-probe.ts';

/** Rejects only when `signal` aborts, with its reason. What could not be looked at is `unknown`. */
export async function probe(settings: ProbeSettings, { signal, clock, ports }: LookParts): Promise<Observation> {
  signal.throwIfAborted();
  const atMs = clock.now();
  const limit = AbortSignal.timeout(settings.timeoutMs);
  const both = AbortSignal.any([signal, limit]);
  const { promise: stopped, reject } = Promise.withResolvers<never>();
  const stop = (): void => reject(both.reason as Error);
  both.addEventListener('abort', stop, { once: true });
  let look: Look;
  try {
    const work = lookAt(settings, { signal: both, clock, ports });
    // Not all that it calls looks at the signal wherever it waits.
    look = await Promise.race([work, stopped]);
  } catch (error) {
    signal.throwIfAborted();
    look = limit.aborted ? timedOut(settings.timeoutMs) : failed(error);
  } finally {
    both.removeEventListener('abort', stop);
  }
  return { ...look, atMs, latencyMs: clock.now() - atMs };
}

async function lookAt(settings: ProbeSettings, parts: LookParts): Promise<Look> {
  switch (settings.type) {
    case 'http':
      return probeHttp(settings, parts);
    case 'sql':
      return probeSql(settings, parts);
    case 'redis':
      return probeRedis(settings, parts);
    case 'tcp':
      return probeTcp(settings, parts);
    case 'dns':
      return probeDns(settings, parts);
    case 'disk':
      return probeDisk(settings);
    case 'process':
      return probeProcess(settings, parts);
    case 'script':
      return probeScript(settings, parts);
    case 'replication':
      return probeReplication(settings, parts);
    default:
      return settings satisfies never;
  }
}

function timedOut(timeoutMs: number): Look {
  return conclude('', [down(`no answer within ${timeoutMs / 1000} s`, 'Check whether it hangs, and the way to it.')]);
}

/** What the world answers, or that it does not; a fault of the program stays one. */
function failed(error: unknown): Look {
  if (isAppError(error)) return conclude('', [problemOf(error)]);
  const code = errnoOf(error);
  if (code === undefined) throw error;
  const { fact, hint } = networkFact(code);
  return conclude('', [down(fact, hint)]);
}

function problemOf(error: AppError) {
  const isItself = error.code === 'SOURCE_UNREACHABLE' || error.code === 'SOURCE_FAILED';
  return (isItself ? down : unknown)(error.message, error.hint);
}
