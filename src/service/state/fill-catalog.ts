// A catalog out of a backup of another: made empty, brought to where that one stood, filled, settled, and only then brought to what this
// program knows.
import { appendAudit, type Actor, type AuditLog } from '../../access/audit-log.ts';
import type { JsonObject } from '../../base/json.ts';
import type { Catalog } from '../../catalog/catalog.ts';
import { importRows, settleImported } from '../../catalog/import-catalog.ts';
import { migrateCatalog, migrateLike } from '../../catalog/migrate.ts';
import type { RecoveryReader } from '../../sources/source.ts';
import type { StateManifest } from './layout.ts';
import { readRows } from './read-state.ts';

export interface Filling {
  readonly reader: RecoveryReader;
  readonly manifest: StateManifest;
  /** Of the service from now on. */
  readonly generation: number;
  readonly actor: Actor;
  /** For the audit log, beside what is known here. */
  readonly details: JsonObject;
  readonly signal: AbortSignal;
}

export interface FilledCatalog {
  /** Runs that were not at their end, and are now. */
  readonly endedRuns: number;
}

export const recoveredAction = 'service.recovered';

/** `catalog` has no tables yet. */
export async function fillCatalog(
  catalog: Catalog,
  { signer }: Pick<AuditLog, 'signer'>,
  filling: Filling,
): Promise<FilledCatalog> {
  const { reader, manifest, generation, actor, details, signal } = filling;
  await migrateLike(catalog, manifest.migrations);
  await catalog.transaction((trx) =>
    importRows(catalog, trx, {
      tables: Object.keys(manifest.rows),
      rowsOf: (table) => readRows(reader, { table, manifest, signal }),
    }),
  );
  await migrateCatalog(catalog);
  return catalog.transaction(async (trx) => {
    const takenAt = new Date(manifest.takenAtMs).toISOString();
    const error = {
      code: 'SERVICE_RECOVERED',
      message: `it was not at its end at ${takenAt}, when the backup was taken of which the server was recovered`,
      hint: 'What it did after that is not known here; start it again if its schedule does not.',
    };
    const ended = await settleImported(catalog, trx, { error, generation });
    const facts = { takenAt, host: manifest.host, generation, endedRuns: ended.length };
    const record = { actor, action: recoveredAction, target: manifest.service, details: { ...details, ...facts } };
    await appendAudit({ catalog, signer }, record, trx);
    return { endedRuns: ended.length };
  });
}
