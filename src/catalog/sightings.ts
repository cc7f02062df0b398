// What was last seen of the repositories of each application, and of the proofs in them. Each look replaces the one before.
import type { Selectable } from 'kysely';
import type { Catalog } from './catalog.ts';
import type { SeenProofTable, SeenRepositoryTable } from './system-tables.ts';

export type SeenRepositoryRow = Selectable<SeenRepositoryTable>;
export type SeenProofRow = Selectable<SeenProofTable>;

export interface Sightings {
  readonly repositories: readonly Omit<SeenRepositoryRow, 'application'>[];
  readonly proofs: readonly Omit<SeenProofRow, 'application'>[];
}

export async function saveSightings(
  catalog: Catalog,
  application: string,
  { repositories, proofs }: Sightings,
): Promise<void> {
  await catalog.transaction(async (trx) => {
    await trx.deleteFrom('seenRepository').where('application', '=', application).execute();
    await trx.deleteFrom('seenProof').where('application', '=', application).execute();
    const ofIt = <Row>(row: Row) => ({ ...row, application });
    if (repositories.length > 0) await trx.insertInto('seenRepository').values(repositories.map(ofIt)).execute();
    if (proofs.length > 0) await trx.insertInto('seenProof').values(proofs.map(ofIt)).execute();
  });
}

/** All if no applications are given. */
export async function seenRepositories(
  { db }: Catalog,
  applications: readonly string[] | undefined,
): Promise<SeenRepositoryRow[]> {
  let query = db.selectFrom('seenRepository').selectAll();
  // No application is called nothing: the list may be empty.
  if (applications !== undefined) query = query.where('application', 'in', [...applications, '']);
  return query.orderBy('application').orderBy('repository').execute();
}

/** All if no applications are given; of all components if none are. */
export async function seenProofs(
  { db }: Catalog,
  applications: readonly string[] | undefined,
  components?: readonly string[],
): Promise<SeenProofRow[]> {
  let query = db.selectFrom('seenProof').selectAll();
  if (applications !== undefined) query = query.where('application', 'in', [...applications, '']);
  if (components !== undefined) query = query.where('component', 'in', [...components, '']);
  return query.orderBy('application').orderBy('component').execute();
}
