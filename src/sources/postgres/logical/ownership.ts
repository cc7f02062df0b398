// Whether the databases that a restore replaces may be renamed by the restoring role. Renaming takes the rights of the owner;
// without them a restore would run for hours and fail at its last step.
import pg from 'pg';
import type { Finding } from '../../../model/finding.ts';
import type { DatabaseEntry, ServerFacts } from '../server.ts';

const aspect = 'ownership';

/** For the preflight of a restore that replaces `replaced`: without the rights there is none. */
export function ownershipFinding({ user }: ServerFacts, replaced: readonly DatabaseEntry[]): Finding {
  const foreign = replaced.filter(({ isOwned }) => !isOwned);
  if (foreign.length === 0) {
    const names = replaced.map(({ name }) => name).join(', ');
    const message = names === '' ? 'nothing is replaced' : `${user} may rename ${names}`;
    return { aspect, outcome: 'passed', message };
  }
  return { aspect, outcome: 'failed', ...mending(user, foreign) };
}

/** For `check`: a backup needs none of it, so a role that is there for backups alone is in order. */
export function restoreRightsFinding(server: ServerFacts, chosen: readonly string[]): Finding {
  const { user } = server;
  if (!server.mayCreateDatabases) {
    const message = `${user} is for backups: it may not create databases, so restore as another role`;
    return { aspect, outcome: 'passed', message };
  }
  const foreign = server.databases.filter(({ name, isOwned }) => chosen.includes(name) && !isOwned);
  if (foreign.length > 0) return { aspect, outcome: 'warning', ...mending(user, foreign) };
  return { aspect, outcome: 'passed', message: `${user} may replace ${chosen.join(', ')} in a restore` };
}

function mending(user: string, foreign: readonly DatabaseEntry[]): Pick<Finding, 'message' | 'hint'> {
  const owned = foreign.map(({ name, owner }) => `${name} (owned by ${owner})`).join(', ');
  const statements = new Set(foreign.map((database) => statementFor(user, database)));
  return {
    message: `${user} may not rename ${owned}, so a restore in place would fail at its end`,
    hint: `Run as a superuser: ${[...statements].join(' ')}`,
  };
}

/** A membership leaves the database to its owner; one in a superuser would give far more than this database. */
function statementFor(user: string, { name, owner, isOwnerGrantable }: DatabaseEntry): string {
  return isOwnerGrantable
    ? `GRANT ${pg.escapeIdentifier(owner)} TO ${pg.escapeIdentifier(user)};`
    : `ALTER DATABASE ${pg.escapeIdentifier(name)} OWNER TO ${pg.escapeIdentifier(user)};`;
}
