// What commands about tokens, users and the audit log open: the catalog, and the log in which they leave their own entries.
import { existsSync } from 'node:fs';
import { hostname } from 'node:os';
import { auditLogOf, type Actor, type AuditLog } from '../access/audit-log.ts';
import { currentUser } from '../base/current-user.ts';
import { AppError } from '../base/errors.ts';
import type { CommandContext } from './context.ts';

export interface OpenedAccess extends AsyncDisposable {
  readonly log: AuditLog;
  /** Whoever may read the catalog's file, or knows the password of its server, may do everything. */
  readonly actor: Actor;
}

export async function openAccess(context: Pick<CommandContext, 'openCatalog' | 'stateFolder'>): Promise<OpenedAccess> {
  const catalog = await context.openCatalog();
  return {
    log: auditLogOf(catalog, context.stateFolder),
    actor: machineActor(),
    [Symbol.asyncDispose]: () => catalog[Symbol.asyncDispose](),
  };
}

/** For what also works without a server: nothing where there is no catalog, and none is made for it. */
export async function openAccessAtHand(
  context: Pick<CommandContext, 'openCatalog' | 'stateFolder' | 'catalogLocation'>,
): Promise<OpenedAccess | undefined> {
  const { path, url } = context.catalogLocation;
  return url === undefined && !existsSync(path) ? undefined : openAccess(context);
}

/** Whoever typed the command. */
export function machineActor(): Actor {
  const { username, uid } = currentUser();
  const name = username === '' ? String(uid) : username;
  return { kind: 'machine', id: `${name}@${hostname()}`, name, address: '' };
}

interface Schema<Value> {
  safeParse(
    given: unknown,
  ): { success: true; data: Value } | { success: false; error: { issues: readonly { readonly message: string }[] } };
}

/** The value of what was typed; throws `USAGE`. */
export function typed<Value>(schema: Schema<Value>, given: unknown, what: string): Value {
  const parsed = schema.safeParse(given);
  if (parsed.success) return parsed.data;
  const expected = parsed.error.issues[0]?.message ?? 'something else';
  throw new AppError('USAGE', `${what}: ${expected.toLowerCase()}`, { hint: 'Give it as expected.' });
}

/** All applications where none is named. */
export function applicationsOrAll(names: readonly string[]): readonly string[] {
  return names.length === 0 ? ['*'] : names;
}

export const applicationsWords = (names: readonly string[]): string =>
  names.length === 1 && names[0] === '*' ? 'all' : names.join(', ');
