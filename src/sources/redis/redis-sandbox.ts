// A throw-away redis-server that loads a recovery point, to prove that it can be loaded and holds what it held.
import { execFile } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { promisify } from 'node:util';
import { AppError, errnoOf } from '../../base/errors.ts';
import type { ContentCheck } from '../../model/content-check.ts';
import type { Fingerprint } from '../../model/fingerprint.ts';
import { programEnvironment } from '../../base/program-environment.ts';
import type { RecoveryReader, Sandbox } from '../source.ts';
import { connectRedis, type RedisAddress } from './connection.ts';
import { privateParentFolder, programMissing, startLocalServer, type LocalServer } from './local-server.ts';
import { RdbCheck, type RdbSummary } from './rdb-check.ts';
import { readRecoveryPoint } from './recovery-point.ts';
import { dumpPath } from './redis-session.ts';
import { requestDump } from './replication-client.ts';
import { keysByDatabase, serverInfo } from './server-facts.ts';

/** Databases a server has unless told otherwise. */
const databasesDefault = 16;
const scanCount = 1000;
/** A program that only says its version has said it by then. */
const answerMaxMs = 10_000;

export interface ServerProgram {
  readonly program: string;
  /** Where it is looked for: the PATH. */
  readonly programFolders?: readonly string[] | undefined;
}

export async function openRedisSandbox(program: ServerProgram, signal: AbortSignal): Promise<Sandbox> {
  const version = await programVersion(program, signal);
  let server: LocalServer | undefined;
  let expected: Fingerprint | undefined;
  const running = (): LocalServer => {
    if (server !== undefined) return server;
    throw new AppError('USAGE', 'nothing was restored into the sandbox yet', { hint: 'Restore into it first.' });
  };
  return {
    description: `${version} on a private unix socket`,
    async restore(reader, restoreSignal) {
      await server?.[Symbol.asyncDispose]();
      server = await startWith(reader, program, restoreSignal);
      expected = await reader.fingerprint(restoreSignal);
    },
    async fingerprint(readSignal) {
      const { fingerprint, unread } = await summaryOf(running().address, readSignal, expected);
      if (fingerprint !== undefined) return fingerprint;
      throw new AppError('INCONCLUSIVE', `the restored data can't be read: ${unread}`, {
        hint: 'Update this program to one that knows the version of the server.',
      });
    },
    valueOf: (check, readSignal) => countKeys(running().address, check, readSignal),
    async [Symbol.asyncDispose]() {
      await server?.[Symbol.asyncDispose]();
      server = undefined;
    },
  };
}

async function programVersion({ program, programFolders }: ServerProgram, signal: AbortSignal): Promise<string> {
  try {
    const { stdout } = await promisify(execFile)(program, ['--version'], {
      env: programEnvironment(programFolders),
      signal,
      timeout: answerMaxMs,
    });
    return `${stdout.startsWith('Valkey') ? 'Valkey' : 'Redis'} ${/v=(\S+)/.exec(stdout)?.[1] ?? 'unknown'}`;
  } catch (error) {
    throw ['ENOENT', 'EACCES'].includes(errnoOf(error) ?? '') ? programMissing(program, error) : error;
  }
}

/** The dump lies in a private folder, in memory where there is room, only until the server has loaded it. */
async function startWith(reader: RecoveryReader, program: ServerProgram, signal: AbortSignal): Promise<LocalServer> {
  const point = await readRecoveryPoint(reader, signal);
  const databases = Math.max(databasesDefault, ...[...(point?.keys?.keys() ?? [])].map((index) => index + 1));
  const server = await startLocalServer(
    {
      ...program,
      parentFolder: await privateParentFolder(point?.sizeBytes ?? 0),
      settings: [`databases ${databases}`],
      prepare: async (folder) => {
        const file = createWriteStream(join(folder, 'dump.rdb'), { mode: 0o600, flags: 'wx' });
        await pipeline(reader.read(dumpPath, signal), file, { signal });
      },
    },
    signal,
  );
  await rm(join(server.folder, 'dump.rdb'));
  return server;
}

/** What a running server holds, by the same way as at backup time. */
export async function summaryOf(
  address: RedisAddress,
  signal: AbortSignal,
  like: Fingerprint | undefined,
): Promise<RdbSummary> {
  await using dump = await requestDump(address, signal);
  const check = new RdbCheck(like);
  for await (const bytes of dump.bytes()) check.push(bytes);
  return check.finish();
}

async function countKeys(address: RedisAddress, check: ContentCheck, signal: AbortSignal): Promise<number> {
  if (!('keys' in check)) {
    throw new AppError('USAGE', 'a check of a redis component counts keys', { hint: "Write 'keys: <pattern>'." });
  }
  await using connection = await connectRedis(address, signal);
  let count = 0;
  for (const database of keysByDatabase(await serverInfo(connection)).keys()) {
    await connection.call('SELECT', database);
    if (check.keys === '*') {
      count += Number(await connection.text('DBSIZE'));
      continue;
    }
    const seen = new Set<string>(); // SCAN may name a key twice while its table is resized.
    let cursor = '0';
    do {
      const answer = await connection.call('SCAN', cursor, 'MATCH', check.keys, 'COUNT', scanCount);
      const [next, names] = answer as [Buffer, Buffer[]];
      for (const name of names) seen.add(name.toString('latin1'));
      cursor = next.toString('latin1');
    } while (cursor !== '0');
    count += seen.size;
  }
  return count;
}
