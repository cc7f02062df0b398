// What was last seen of repositories and proofs, for metrics and lists: a look at the catalog must do.
import type { Kysely } from 'kysely';

export async function up({ schema }: Kysely<unknown>): Promise<void> {
  await schema
    .createTable('seenRepository')
    .addColumn('application', 'text', (column) => column.notNull())
    .addColumn('repository', 'text', (column) => column.notNull())
    .addColumn('snapshots', 'bigint')
    .addColumn('storedBytes', 'bigint')
    .addColumn('problem', 'text')
    .addColumn('seenAtMs', 'bigint', (column) => column.notNull())
    .addPrimaryKeyConstraint('seen_repository_key', ['application', 'repository'])
    .execute();
  await schema
    .createTable('seenProof')
    .addColumn('application', 'text', (column) => column.notNull())
    .addColumn('component', 'text', (column) => column.notNull())
    .addColumn('outcome', 'text', (column) => column.notNull())
    .addColumn('message', 'text', (column) => column.notNull())
    .addColumn('atMs', 'bigint', (column) => column.notNull())
    .addPrimaryKeyConstraint('seen_proof_key', ['application', 'component'])
    .execute();
}
