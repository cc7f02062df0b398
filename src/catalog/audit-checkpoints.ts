// The tables of signed hashes of the audit log, and of the keys that check them.
import type { Selectable } from 'kysely';
import type { AuditCheckpointTable, AuditKeyTable } from './access-tables.ts';
import type { Catalog, Queries } from './catalog.ts';

export type AuditCheckpointRow = Selectable<AuditCheckpointTable>;

/** In the transaction that took the head. */
export async function insertCheckpoint(trx: Queries, checkpoint: AuditCheckpointRow): Promise<void> {
  const { number, atMs } = checkpoint;
  await trx.insertInto('auditCheckpoint').values(checkpoint).execute();
  await trx
    .updateTable('auditHead')
    .set({ checkpointNumber: number, checkpointAtMs: atMs })
    .where('id', '=', 1)
    .execute();
}

export async function allCheckpoints({ db }: Catalog): Promise<AuditCheckpointRow[]> {
  return db.selectFrom('auditCheckpoint').selectAll().orderBy('number').execute();
}

/** The newest that is not behind this number. */
export async function checkpointAtOrBefore(trx: Queries, number: number): Promise<AuditCheckpointRow | undefined> {
  return trx
    .selectFrom('auditCheckpoint')
    .selectAll()
    .where('number', '<=', number)
    .orderBy('number', 'desc')
    .limit(1)
    .executeTakeFirst();
}

export async function deleteCheckpointsBefore(trx: Queries, number: number): Promise<void> {
  await trx.deleteFrom('auditCheckpoint').where('number', '<', number).execute();
}

/** A key that is known already stays as it is. */
export async function insertAuditKey(
  { now }: Catalog,
  key: Pick<Selectable<AuditKeyTable>, 'id' | 'publicKey'>,
  trx: Queries,
): Promise<void> {
  await trx
    .insertInto('auditKey')
    .values({ ...key, addedAtMs: now() })
    .onConflict((conflict) => conflict.doNothing())
    .execute();
}

export async function allAuditKeys({ db }: Catalog): Promise<Selectable<AuditKeyTable>[]> {
  return db.selectFrom('auditKey').selectAll().orderBy('addedAtMs').orderBy('id').execute();
}
