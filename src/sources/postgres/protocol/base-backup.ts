// Runs BASE_BACKUP and yields what comes, in the same events for every major.
import { protocolError } from './protocol-error.ts';
import {
  PlainArchiveDecoder,
  TypedArchiveDecoder,
  type BaseBackupEvent,
  type Tablespace,
} from './base-backup-decoder.ts';
import { baseBackupCommand, type BaseBackupOptions } from './commands.ts';
import { textRows, type ResultSet } from './rows.ts';
import type { WireSession } from './wire-session.ts';
import { serverLsn } from './server-lsn.ts';
import type { Lsn } from '../wal/lsn.ts';

interface BaseBackupContext {
  readonly major: number;
  /** Between two pieces of data; before the first the server may be busy with its checkpoint as long as it likes. */
  readonly dataWaitMaxMs: number;
}

/** Ends the connection if the reader leaves before the last event. */
export async function* baseBackup(
  session: WireSession,
  options: BaseBackupOptions,
  { major, dataWaitMaxMs }: BaseBackupContext,
): AsyncGenerator<BaseBackupEvent, void> {
  session.begin(baseBackupCommand(options, major));
  let isOver = false;
  try {
    session.channel.silenceMaxMs = undefined;
    yield { kind: 'start', ...placeOf(session, await someResult(session)) };
    session.channel.silenceMaxMs = dataWaitMaxMs;
    const { tablespaces, baseSizeBytes } = tablespacesOf(await someResult(session));
    yield { kind: 'tablespaces', tablespaces, ...(baseSizeBytes === undefined ? {} : { baseSizeBytes }) };
    if (major >= 15) yield* typedArchives(session, tablespaces);
    else yield* plainArchives(session, new PlainArchiveDecoder(tablespaces, options.manifestChecksums !== undefined));
    const end = placeOf(session, await someResult(session));
    await session.restOfResults();
    isOver = true;
    yield { kind: 'end', ...end };
  } catch (error) {
    isOver = true; // The session knows whether the connection lives on.
    throw error;
  } finally {
    if (!isOver) session.die(new Error('Connection terminated: the base backup was not read to its end'));
  }
}

async function* typedArchives(
  session: WireSession,
  tablespaces: readonly Tablespace[],
): AsyncGenerator<BaseBackupEvent, void> {
  const decoder = new TypedArchiveDecoder(tablespaces);
  await copyBegins(session);
  session.channel.passCopyData();
  for (;;) {
    const frame = session.nextNow() ?? (await session.next());
    if (frame.kind === 'message') {
      if (frame.type === 'E') throw await session.refused(frame.body);
      if (frame.type !== 'c') throw session.die(protocolError(`a message '${frame.type}' in a base backup`));
      yield* session.orDie(() => decoder.finish());
      return;
    }
    for (const event of session.orDie(() => decoder.decode(frame))) yield event;
  }
}

async function* plainArchives(
  session: WireSession,
  decoder: PlainArchiveDecoder,
): AsyncGenerator<BaseBackupEvent, void> {
  while (!decoder.isComplete) {
    await copyBegins(session);
    yield session.orDie(() => decoder.begin());
    session.channel.passCopyData();
    for (;;) {
      const frame = session.nextNow() ?? (await session.next());
      if (frame.kind === 'message') {
        if (frame.type === 'E') throw await session.refused(frame.body);
        if (frame.type !== 'c') throw session.die(protocolError(`a message '${frame.type}' in a base backup`));
        break;
      }
      for (const event of session.orDie(() => decoder.decode(frame))) yield event;
    }
    yield* decoder.finish();
  }
}

async function copyBegins(session: WireSession): Promise<void> {
  const { type } = await session.nextMessage();
  if (type !== 'H') throw session.die(protocolError(`a message '${type}' in place of a base backup's data`));
}

async function someResult(session: WireSession): Promise<ResultSet> {
  const result = await session.nextResult();
  if (result === undefined) throw session.die(protocolError('too few results for a base backup'));
  return result;
}

function placeOf(session: WireSession, result: ResultSet): { lsn: Lsn; timeline: number } {
  const [row] = textRows(result);
  return session.orDie(() => ({ lsn: serverLsn(row?.['recptr']), timeline: Number(row?.['tli']) }));
}

/** The last row stands for the data directory. */
function tablespacesOf(result: ResultSet): { tablespaces: Tablespace[]; baseSizeBytes: number | undefined } {
  const tablespaces: Tablespace[] = [];
  let baseSizeBytes: number | undefined;
  for (const { spcoid, spclocation, size } of textRows(result)) {
    const sizeBytes = size === undefined ? undefined : Number(size) * 1024;
    if (spcoid === undefined) baseSizeBytes = sizeBytes;
    else tablespaces.push({ oid: Number(spcoid), location: spclocation ?? '', sizeBytes });
  }
  return { tablespaces, baseSizeBytes };
}
