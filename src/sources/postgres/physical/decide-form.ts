// Says how a physical backup would be taken now: whether the server answers, and what the backup could build on. Begins nothing.
import { isAppError, messageOf } from '../../../base/errors.ts';
import type { BackupForm, BackupRequest } from '../../source.ts';
import { addressOf, type PostgresOptions } from '../options.ts';
import { connectReplication } from '../protocol/connect-replication.ts';
import { readServerState } from './server-state.ts';
import { decideType } from './start-incremental.ts';

export async function decidePhysicalForm(
  options: PostgresOptions,
  request: BackupRequest,
  signal: AbortSignal,
): Promise<BackupForm> {
  const { clock } = options;
  await using connection = await connectReplication(await addressOf(options), { clock }, signal);
  const question = { connection, server: await readServerState(connection), options, request, nowMs: clock.now() };
  const method = 'physical';
  try {
    const { choice } = await decideType(question, signal);
    return choice.type === 'full' ? { method, ...choice } : { method, type: choice.type };
  } catch (error) {
    // As when a backup begins: what can't be read of the parent leads to a full one.
    if (!isAppError(error, 'REPOSITORY_DAMAGED', 'NOT_FOUND', 'OBJECT_MISSING')) throw error;
    return { method, type: 'full', reason: messageOf(error) };
  }
}
