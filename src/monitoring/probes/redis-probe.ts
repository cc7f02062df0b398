// A Redis server: whether it answers, its role, its memory, and whether it saves.
import { formatByteSize } from '../../base/byte-size.ts';
import { formatAge } from '../../base/duration.ts';
import type { ProbeOf } from '../../model/probe.ts';
import { conclude, degraded, down, slowness, unknown, type Look, type LookParts, type Problem } from './look.ts';

export async function probeRedis(settings: ProbeOf<'redis'>, { signal, clock, ports }: LookParts): Promise<Look> {
  const startMs = clock.now();
  const text = await ports.redisInfo(settings.component, signal);
  const latencyMs = clock.now() - startMs;
  const look = judgeRedis(text, settings, clock.now());
  return { ...conclude(look.summary, [...look.problems, ...slowness(latencyMs, settings.slowMs)], look.facts) };
}

interface RedisLook {
  readonly summary: string;
  readonly problems: readonly Problem[];
  readonly facts: Look['facts'];
}

export function judgeRedis(text: string, settings: ProbeOf<'redis'>, nowMs: number): RedisLook {
  const info = new Map(
    text.split(/\r?\n/).flatMap((line) => {
      const at = line.indexOf(':');
      return at > 0 ? [[line.slice(0, at), line.slice(at + 1)] as const] : [];
    }),
  );
  const { role: wanted, memoryMaxBytes, saveAgeMaxMs } = settings;
  const role = info.get('role') ?? 'unknown';
  const usedBytes = numberIn(info, 'used_memory');
  const savedMs = (numberIn(info, 'rdb_last_save_time') ?? Number.NaN) * 1000;
  const problems: Problem[] = [];
  if (wanted !== undefined && role !== wanted) {
    problems.push(down(`its role is ${role}, expected ${wanted}`, 'Check who is master, and whether it failed over.'));
  }
  if (info.get('loading') === '1') problems.push(down('it still loads its data', 'Wait until it has loaded.'));
  if (role === 'slave' && info.get('master_link_status') === 'down') {
    problems.push(degraded('it has lost its master', 'Check the master, and the network to it.'));
  }
  if (info.get('rdb_last_bgsave_status') === 'err') {
    problems.push(degraded('its last save failed', 'Look into its log: space and memory are the usual reasons.'));
  }
  problems.push(...memoryProblems(usedBytes, memoryMaxBytes));
  if (saveAgeMaxMs !== undefined) problems.push(...saveProblems(nowMs - savedMs, saveAgeMaxMs));
  const version = info.get('redis_version') ?? 'unknown';
  return {
    summary: `${role}, version ${version}${usedBytes === undefined ? '' : `, ${formatByteSize(usedBytes)} used`}`,
    problems,
    facts: { role, version, ...(usedBytes !== undefined && { usedBytes }), ...(!Number.isNaN(savedMs) && { savedMs }) },
  };
}

function numberIn(info: ReadonlyMap<string, string>, field: string): number | undefined {
  const text = info.get(field);
  return text === undefined || !/^\d+$/.test(text) ? undefined : Number(text);
}

function memoryProblems(usedBytes: number | undefined, maxBytes: number | undefined): Problem[] {
  if (maxBytes === undefined) return [];
  if (usedBytes === undefined) return [unknown('it does not tell its memory', 'Allow its user the command INFO.')];
  if (usedBytes <= maxBytes) return [];
  const message = `${formatByteSize(usedBytes)} of memory used, more than ${formatByteSize(maxBytes)}`;
  return [degraded(message, 'Look for what grows, or allow more.')];
}

function saveProblems(ageMs: number, maxMs: number): Problem[] {
  if (Number.isNaN(ageMs)) return [unknown('it does not tell when it last saved', 'Allow its user the command INFO.')];
  if (ageMs <= maxMs) return [];
  const message = `last saved ${formatAge(ageMs)} ago, more than ${formatAge(maxMs)}`;
  return [degraded(message, 'Check its save settings, or save with BGSAVE.')];
}
