// The replication slot that keeps WAL at the server while nobody receives it: found, made, or made again after it was lost.
import { AppError } from '../../../base/errors.ts';
import type { ReplicationConnection } from '../protocol/replication-connection.ts';
import type { Lsn } from '../wal/lsn.ts';

export interface ReadySlot {
  /** From here on the server keeps WAL; undefined if the slot was made by somebody and never used. */
  readonly restartLsn: Lsn | undefined;
  /** `lost`: the server had given it up, and it was made again. */
  readonly origin: 'found' | 'made' | 'lost';
}

/** `isLost`: an attempt to use it failed for that reason; not every connection is told beforehand. */
export async function readySlot(
  connection: ReplicationConnection,
  name: string,
  { isLost }: { readonly isLost: boolean },
): Promise<ReadySlot> {
  const found = await connection.readSlot(name);
  if (found?.type === 'logical') {
    throw new AppError('CONFIG_INVALID', `the replication slot ${name} is a logical one, of somebody else`, {
      hint: 'Give the journal of this component another `slot` in lifeboat.yaml.',
    });
  }
  const wasLost = found !== undefined && (found.walStatus === 'lost' || isLost);
  if (found !== undefined && !wasLost) return { restartLsn: found.restartLsn, origin: 'found' };
  if (wasLost) await connection.dropSlot(name, { waits: false });
  await connection.createSlot(name, { reservesWal: true });
  const made = await connection.readSlot(name);
  return { restartLsn: made?.restartLsn, origin: wasLost ? 'lost' : 'made' };
}
