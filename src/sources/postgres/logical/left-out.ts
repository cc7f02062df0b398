// What a restore by a role that is no superuser leaves out of a dump, because the server would refuse it and stop the whole
// restore over something that no row and no query of the application depends on.
import { mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Finding } from '../../../model/finding.ts';
import type { DelicateEntry, DelicateKind, DumpToc } from './dump-toc.ts';
import type { RecoveryPoint } from './recovery-point.ts';
import type { ServerFacts } from '../server.ts';

export function leftOut({ delicate }: DumpToc, server: ServerFacts): DelicateEntry[] {
  return server.isSuperuser ? [] : delicate.filter((entry) => refused[entry.kind](entry, server));
}

/** Whether a server refuses an entry to all but superusers. */
const refused: Readonly<Record<DelicateKind, (entry: DelicateEntry, server: ServerFacts) => boolean>> = {
  // It is there already, and from 15 on it belongs to whoever owns the database.
  'public schema': () => true,
  'comment on public schema': (_, { major }) => major < 15,
  // CREATE EXTENSION has set it.
  'comment on extension': () => true,
  'right in catalog': () => true,
  'default right': ({ owner }, { rolesHeld }) => !rolesHeld.includes(owner),
  // The application may depend on it: better no restore than one without it.
  'event trigger': () => false,
};

/** What is lost for good, and what will stop the restore. Comments and the owner of a schema that is there are neither. */
export function* superuserFindings({ databases }: RecoveryPoint, server: ServerFacts): Generator<Finding> {
  if (server.isSuperuser) return;
  const hint = 'Restore as a superuser to bring them back.';
  const rights = databases
    .flatMap(({ toc }) => leftOut(toc, server))
    .filter(({ kind }) => kind === 'right in catalog' || kind === 'default right')
    .map(({ tag, kind, owner }) => (kind === 'default right' ? `default privileges of ${owner}` : tag));
  if (rights.length > 0) {
    const message = `rights that only a superuser may grant are left out: ${[...new Set(rights)].join(', ')}`;
    yield { aspect: 'rights left out', outcome: 'warning', message, hint };
  }
  const triggers = databases.flatMap(({ toc }) => toc.delicate.filter(({ kind }) => kind === 'event trigger'));
  if (triggers.length > 0) {
    const message = `only a superuser may create event triggers: ${triggers.map(({ tag }) => tag).join(', ')}`;
    yield { aspect: 'event triggers', outcome: 'warning', message, hint };
  }
}

/** A list for pg_restore as an open file that has no name any more, so that it goes with the process. */
export async function openList(
  { entryNumbers }: DumpToc,
  without: readonly DelicateEntry[],
): Promise<AsyncDisposable & { readonly fd: number }> {
  const excluded = new Set(without.map(({ number }) => number));
  const lines = entryNumbers.filter((number) => !excluded.has(number)).map((number) => `${number};\n`);
  const folder = await mkdtemp(join(tmpdir(), 'lifeboat-list-'));
  try {
    await using opened = new AsyncDisposableStack();
    const file = opened.use(await open(join(folder, 'list'), 'wx+', 0o600));
    // At a position: the file's own stays at the beginning, where some systems let a second opening begin.
    await file.write(lines.join(''), 0);
    const held = opened.move();
    return { fd: file.fd, [Symbol.asyncDispose]: () => held.disposeAsync() };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
