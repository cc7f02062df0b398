// Records of a name, as a name server tells them.
import { Resolver } from 'node:dns/promises';
import { errnoOf } from '../../base/errors.ts';
import type { ProbeOf } from '../../model/probe.ts';
import { cutText } from '../fitting-text.ts';
import { conclude, down, slowness, type Look, type LookParts } from './look.ts';

const shownMax = 200;

export async function probeDns(settings: ProbeOf<'dns'>, { signal, clock }: LookParts): Promise<Look> {
  const { name, record, values, resolver: server, timeoutMs } = settings;
  const resolver = new Resolver({ timeout: Math.max(500, Math.floor(timeoutMs / 3)), tries: 2 });
  if (server !== undefined) resolver.setServers([server]);
  const cancel = (): void => resolver.cancel();
  signal.addEventListener('abort', cancel, { once: true });
  const startMs = clock.now();
  try {
    const found = (await recordsOf(resolver, name, record)).toSorted();
    const problems = [...differences(found, values), ...slowness(clock.now() - startMs, settings.slowMs)];
    const words = cutText(found.join(', '), shownMax);
    return conclude(words, problems, { records: words });
  } catch (error) {
    signal.throwIfAborted();
    const code = errnoOf(error);
    if (code === undefined) throw error;
    const fact = facts[code] ?? `the name server gave no answer (${code})`;
    return conclude('', [down(`${fact}: ${record} of ${name}`, 'Check the zone and its name servers.')]);
  } finally {
    signal.removeEventListener('abort', cancel);
  }
}

const facts: Readonly<Record<string, string>> = {
  ENOTFOUND: 'there is no such name',
  ENODATA: 'there is no such record',
  ESERVFAIL: 'the name server failed',
  EREFUSED: 'the name server refuses to answer',
  ETIMEOUT: 'the name server does not answer',
  ECONNREFUSED: 'no name server is there',
};

async function recordsOf(resolver: Resolver, name: string, record: ProbeOf<'dns'>['record']): Promise<string[]> {
  switch (record) {
    case 'A':
      return resolver.resolve4(name);
    case 'AAAA':
      return resolver.resolve6(name);
    case 'CNAME':
      return resolver.resolveCname(name);
    case 'NS':
      return resolver.resolveNs(name);
    case 'MX':
      return (await resolver.resolveMx(name)).map(({ priority, exchange }) => `${priority} ${exchange}`);
    case 'TXT':
      return (await resolver.resolveTxt(name)).map((parts) => parts.join(''));
    case 'SRV':
      return (await resolver.resolveSrv(name)).map(
        ({ priority, weight, port, name: target }) => `${priority} ${weight} ${port} ${target}`,
      );
    default:
      return record satisfies never;
  }
}

function differences(found: readonly string[], wanted: readonly string[]) {
  if (wanted.length === 0) return [];
  const missing = wanted.filter((value) => !found.includes(value));
  const others = found.filter((value) => !wanted.includes(value));
  if (missing.length === 0 && others.length === 0) return [];
  const words = [
    ...(missing.length > 0 ? [`lacks ${missing.join(', ')}`] : []),
    ...(others.length > 0 ? [`has ${others.join(', ')}`] : []),
  ];
  return [down(cutText(words.join(' and '), shownMax), 'Correct the zone, or what is expected.')];
}
