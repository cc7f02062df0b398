// What a Redis server says of itself.
import type { JsonObject } from '../../base/json.ts';
import { isAppError } from '../../base/errors.ts';
import type { RedisConnection } from './connection.ts';

/** The answer of INFO: `redis_version` → `7.0.15`. */
export type ServerInfo = ReadonlyMap<string, string>;

export function parseInfo(text: string): ServerInfo {
  const info = new Map<string, string>();
  for (const line of text.split(/\r?\n/)) {
    const colon = line.indexOf(':');
    if (colon > 0 && !line.startsWith('#')) info.set(line.slice(0, colon), line.slice(colon + 1));
  }
  return info;
}

export async function serverInfo(connection: RedisConnection): Promise<ServerInfo> {
  return parseInfo(await connection.text('INFO'));
}

/** Number of keys by database index, from INFO's `db0:keys=3,expires=1,…`. */
export function keysByDatabase(info: ServerInfo): Map<number, number> {
  const keys = new Map<number, number>();
  for (const [name, value] of info) {
    const index = /^db(\d+)$/.exec(name)?.[1];
    const count = /keys=(\d+)/.exec(value)?.[1];
    if (index !== undefined && count !== undefined) keys.set(Number(index), Number(count));
  }
  return keys;
}

/** A setting, or undefined where the server doesn't let us ask (managed ones don't). */
export async function setting(connection: RedisConnection, name: string): Promise<string | undefined> {
  try {
    const answer = await connection.call('CONFIG', 'GET', name);
    return Array.isArray(answer) && answer.length > 1 ? String(answer[1]) : undefined;
  } catch (error) {
    if (isAppError(error, 'SOURCE_DENIED', 'SOURCE_UNSUPPORTED')) return undefined;
    throw error;
  }
}

/** Valkey keeps `redis_version` at 7.2.4 for old clients; this is what it is. */
export function productOf(info: ServerInfo): string {
  const valkey = info.get('valkey_version');
  return valkey === undefined ? `Redis ${info.get('redis_version') ?? 'unknown'}` : `Valkey ${valkey}`;
}

export function majorVersion(info: ServerInfo): number {
  return Number.parseInt(info.get('redis_version') ?? '0', 10);
}

export function factsOf(info: ServerInfo): JsonObject {
  return {
    product: productOf(info),
    version: info.get('valkey_version') ?? info.get('redis_version') ?? 'unknown',
    mode: info.get('redis_mode') ?? 'unknown',
    role: info.get('role') ?? 'unknown',
    runId: info.get('run_id') ?? 'unknown',
    usedMemoryBytes: Number(info.get('used_memory') ?? 0),
    appendOnly: info.get('aof_enabled') === '1',
    maxMemoryBytes: Number(info.get('maxmemory') ?? 0),
    maxMemoryPolicy: info.get('maxmemory_policy') ?? 'unknown',
  };
}
