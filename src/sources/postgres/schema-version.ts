// Which migration a database stands at, read from the table of whatever tool made it, so that a recovery point can be
// matched with the release of the application that understands it.
import type { Connection } from './connection.ts';
import { foreignSchema, qualifiedName } from './tables.ts';

export interface SchemaVersion {
  readonly tool: string;
  /** `schema.table`, or `query` for the user's own. */
  readonly from: string;
  /** Null where no migration has run. */
  readonly version: string | null;
}

interface MigrationTable {
  readonly tool: string;
  readonly table: string;
  /** All must be there: tools share table names. */
  readonly columns: readonly string[];
  /** SQL of the newest version's name. */
  readonly version: string;
  /** SQL that puts the newest first. */
  readonly newestFirst: string;
}

const migrationTables: readonly MigrationTable[] = [
  {
    tool: 'Alembic',
    table: 'alembic_version',
    columns: ['version_num'],
    version: 'version_num',
    newestFirst: 'version_num DESC',
  },
  {
    tool: 'golang-migrate',
    table: 'schema_migrations',
    columns: ['version', 'dirty'],
    version: 'version',
    newestFirst: 'version DESC',
  },
  { tool: 'Rails', table: 'schema_migrations', columns: ['version'], version: 'version', newestFirst: 'version DESC' },
  {
    tool: 'Flyway',
    table: 'flyway_schema_history',
    columns: ['version', 'installed_rank'],
    version: 'version',
    newestFirst: 'installed_rank DESC',
  },
  { tool: 'Knex', table: 'knex_migrations', columns: ['id', 'name'], version: 'name', newestFirst: 'id DESC' },
  {
    tool: 'Prisma',
    table: '_prisma_migrations',
    columns: ['migration_name', 'finished_at'],
    version: 'migration_name',
    newestFirst: 'finished_at DESC NULLS LAST',
  },
  {
    tool: 'Django',
    table: 'django_migrations',
    columns: ['id', 'app', 'name'],
    version: "app || '.' || name",
    newestFirst: 'id DESC',
  },
  {
    tool: 'TypeORM',
    table: 'migrations',
    columns: ['id', 'timestamp', 'name'],
    version: 'name',
    newestFirst: '"timestamp" DESC',
  },
  {
    tool: 'Laravel',
    table: 'migrations',
    columns: ['id', 'migration', 'batch'],
    version: 'migration',
    newestFirst: 'id DESC',
  },
  {
    tool: 'Drizzle',
    table: '__drizzle_migrations',
    columns: ['id', 'hash', 'created_at'],
    version: 'hash',
    newestFirst: 'created_at DESC',
  },
  { tool: 'Sequelize', table: 'SequelizeMeta', columns: ['name'], version: 'name', newestFirst: 'name DESC' },
  {
    tool: 'Entity Framework',
    table: '__EFMigrationsHistory',
    columns: ['MigrationId'],
    version: '"MigrationId"',
    newestFirst: '"MigrationId" DESC',
  },
  {
    tool: 'Liquibase',
    table: 'databasechangelog',
    columns: ['id', 'orderexecuted'],
    version: 'id',
    newestFirst: 'orderexecuted DESC',
  },
  { tool: 'node-pg-migrate', table: 'pgmigrations', columns: ['id', 'name'], version: 'name', newestFirst: 'id DESC' },
  {
    tool: 'Goose',
    table: 'goose_db_version',
    columns: ['id', 'version_id'],
    version: 'version_id',
    newestFirst: 'id DESC',
  },
  {
    tool: 'Kysely',
    table: 'kysely_migration',
    columns: ['name', 'timestamp'],
    version: 'name',
    newestFirst: 'name DESC',
  },
];

const candidatesQuery = `
  SELECT n.nspname::text AS schema, c.relname::text AS name,
         ARRAY(SELECT a.attname::text FROM pg_catalog.pg_attribute a
                WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped) AS columns
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
   WHERE c.relkind = 'r' AND c.relname = ANY ($1::text[]) AND NOT ${foreignSchema}
     AND pg_catalog.has_table_privilege(c.oid, 'SELECT') AND pg_catalog.has_schema_privilege(n.oid, 'USAGE')
   ORDER BY 1, 2`;

interface Candidate {
  readonly schema: string;
  readonly name: string;
  readonly columns: readonly string[];
}

/** Of the tools known, and of the user's own `query` if there is one: its first column of the first row. */
export async function readSchemaVersions(connection: Connection, query: string | undefined): Promise<SchemaVersion[]> {
  const versions: SchemaVersion[] = [];
  if (query !== undefined) {
    const [row] = await connection.query<Record<string, string | number | Date | null>>(query);
    const value = row === undefined ? undefined : Object.values(row)[0];
    versions.push({
      tool: 'own',
      from: 'query',
      version: value === undefined || value === null ? null : String(value),
    });
  }
  const names = migrationTables.map((known) => known.table);
  for (const candidate of await connection.query<Candidate>(candidatesQuery, [names])) {
    const known = migrationTables.find(
      (one) => one.table === candidate.name && one.columns.every((column) => candidate.columns.includes(column)),
    );
    if (known === undefined) continue;
    const statement = `SELECT (${known.version})::text AS version FROM ${qualifiedName(candidate)} ORDER BY ${known.newestFirst} LIMIT 1`;
    const [newest] = await connection.query<{ readonly version: string | null }>(statement);
    versions.push({
      tool: known.tool,
      from: `${candidate.schema}.${candidate.name}`,
      version: newest?.version ?? null,
    });
  }
  return versions;
}
