// What a database is beside its content: how it must be created again, and what people want to know of a backup.
import type { JsonObject } from '../../base/json.ts';
import type { Connection } from './connection.ts';

export interface DatabaseFacts {
  readonly name: string;
  readonly owner: string;
  readonly sizeBytes: number;
  readonly encoding: string;
  readonly collation: string;
  readonly characterType: string;
  /** `c` libc, `i` ICU, `b` built in (17+). */
  readonly localeProvider: string;
  /** Of ICU and built-in locales. */
  readonly locale: string | null;
  readonly tablespace: string;
  readonly connectionsMax: number;
  readonly comment: string | null;
  /** Of all roles where `role` is null. */
  readonly settings: readonly { readonly role: string | null; readonly setting: string }[];
  /** Null where the rights are those that every new database has. */
  readonly rights: readonly DatabaseRight[] | null;
  readonly extensions: readonly { readonly name: string; readonly version: string }[];
}

interface DatabaseRight {
  /** Null for everybody. */
  readonly grantee: string | null;
  readonly privilege: string;
  readonly mayGrant: boolean;
}

export async function readDatabaseFacts(connection: Connection, serverMajor: number): Promise<DatabaseFacts> {
  const [facts] = await connection.query<DatabaseFacts>(factsQuery(serverMajor));
  if (facts === undefined) throw new Error('the current database is not in pg_database');
  return facts;
}

export function databaseFactsJson(facts: DatabaseFacts): JsonObject {
  return {
    ...facts,
    settings: facts.settings.map((one) => ({ ...one })),
    rights: facts.rights?.map((one) => ({ ...one })) ?? null,
    extensions: facts.extensions.map((one) => ({ ...one })),
  };
}

function factsQuery(serverMajor: number): string {
  const provider = serverMajor >= 15 ? 'd.datlocprovider::text' : "'c'";
  const locale = serverMajor >= 17 ? 'd.datlocale' : serverMajor >= 15 ? 'd.daticulocale' : 'NULL::text';
  return `
  SELECT d.datname::text AS name, pg_catalog.pg_get_userbyid(d.datdba)::text AS owner,
         pg_catalog.pg_database_size(d.oid)::float8 AS "sizeBytes", pg_catalog.pg_encoding_to_char(d.encoding)::text AS encoding,
         d.datcollate::text AS collation, d.datctype::text AS "characterType", ${provider} AS "localeProvider",
         ${locale} AS locale, t.spcname::text AS tablespace, d.datconnlimit AS "connectionsMax",
         pg_catalog.shobj_description(d.oid, 'pg_database') AS comment,
         (SELECT coalesce(json_agg(json_build_object('role', r.rolname, 'setting', u.setting) ORDER BY r.rolname NULLS FIRST, u.place), '[]')
            FROM pg_catalog.pg_db_role_setting s LEFT JOIN pg_catalog.pg_roles r ON r.oid = s.setrole,
                 unnest(s.setconfig) WITH ORDINALITY AS u(setting, place)
           WHERE s.setdatabase = d.oid AND (s.setrole = 0 OR r.oid IS NOT NULL)) AS settings,
         CASE WHEN d.datacl IS NOT NULL THEN
           (SELECT coalesce(json_agg(json_build_object('grantee', g.rolname, 'privilege', a.privilege_type, 'mayGrant', a.is_grantable)), '[]')
              FROM aclexplode(d.datacl) AS a LEFT JOIN pg_catalog.pg_roles g ON g.oid = a.grantee
             WHERE a.grantee = 0 OR g.oid IS NOT NULL) END AS rights,
         (SELECT coalesce(json_agg(json_build_object('name', e.extname, 'version', e.extversion) ORDER BY e.extname), '[]')
            FROM pg_catalog.pg_extension e) AS extensions
    FROM pg_catalog.pg_database d JOIN pg_catalog.pg_tablespace t ON t.oid = d.dattablespace
   WHERE d.datname = pg_catalog.current_database()`;
}
