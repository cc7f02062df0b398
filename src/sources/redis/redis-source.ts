// The source for Redis 6 and newer and for Valkey: backed up by replication, restored key by key, into a folder, or into
// a throw-away server.
import { systemClock, type Clock } from '../../base/clock.ts';
import { AppError } from '../../base/errors.ts';
import type { RestoreDecision, RestoreRequest, RecoveryReader, Source } from '../source.ts';
import type { RedisAddress } from './connection.ts';
import { folderRestore } from './folder-restore.ts';
import { readRecoveryPoint } from './recovery-point.ts';
import { unitOf } from './keyspace-fingerprint.ts';
import { checkRedis } from './redis-checks.ts';
import { openRedisSandbox } from './redis-sandbox.ts';
import { dumpPath, openRedisSession } from './redis-session.ts';
import { parseDatabases, parseTarget } from './restore-target.ts';
import { serverRestore } from './server-restore.ts';

export interface RedisSourceOptions extends RedisAddress {
  /** The server program for sandboxes, if it is not `redis-server` on the path. */
  readonly serverProgram?: string | undefined;
  /** Where programs are looked for: the PATH. */
  readonly programFolders?: readonly string[] | undefined;
  readonly clock?: Clock | undefined;
}

export function redisSource(options: RedisSourceOptions): Source {
  const { host, port, socketPath, username, password, tls, programFolders } = options;
  const address: RedisAddress = { host, port, socketPath, username, password, tls };
  const clock = options.clock ?? systemClock;
  return {
    kind: 'redis',
    check: (signal) => checkRedis(address, signal),
    open: (signal) => openRedisSession(address, clock, signal),
    restore: {
      kind: 'service',
      takesFolders: () => true,
      unitOf,
      decide: (reader, request, signal) => decide({ reader, request, address, clock }, signal),
      sandbox: (_, signal) =>
        openRedisSandbox({ program: options.serverProgram ?? 'redis-server', programFolders }, signal),
    },
  };
}

interface Deciding {
  readonly reader: RecoveryReader;
  readonly request: RestoreRequest;
  readonly address: RedisAddress;
  readonly clock: Clock;
}

async function decide(deciding: Deciding, signal: AbortSignal): Promise<RestoreDecision> {
  const { reader, request, address, clock } = deciding;
  const point = await readRecoveryPoint(reader, signal);
  if (point === undefined) {
    throw new AppError('NOT_FOUND', `the recovery point has no ${dumpPath}`, {
      hint: 'Choose a recovery point of a redis component.',
    });
  }
  const include = parseDatabases(request.include);
  const target = parseTarget(request.to, address);
  if (target.kind === 'server') {
    return await serverRestore({ reader, point, include, clock, address: target.address }, signal);
  }
  if (include.length > 0) {
    throw new AppError('USAGE', 'a dump file holds all databases', {
      hint: 'Leave the databases out, or restore into a running server.',
    });
  }
  const { folder, fileName } = target;
  return await folderRestore({ reader, point, clock, folder, fileName, origin: address }, signal);
}
