// What they may: first whether at all, before a body is read; then whether for this very thing, which is not there for who may not see it.
import type { FastifyRequest } from 'fastify';
import { applicationsFor, everywhere, may, mayAnywhere, type Action, type Principal } from '../access/permissions.ts';
import { AppError } from '../base/errors.ts';
import type { ApiParts } from './parts.ts';
import { notFound } from './problem.ts';
import { principalOf, type AnyRoute } from './route.ts';

export function forbidden(action: Action): AppError {
  return new AppError('FORBIDDEN', `your roles and scopes do not allow ${action} here`, {
    hint: 'Ask an administrator for a role that allows it.',
  });
}

/** Rejects with `FORBIDDEN` if nothing that the request could be about is allowed. */
export function authoriseAtAll({ access }: AnyRoute, request: FastifyRequest): void {
  if (access.kind === 'public' || access.kind === 'self') return;
  const principal = principalOf(request);
  const isAllowed =
    access.kind === 'server' ? may(principal, access.action, everywhere) : mayAnywhere(principal, access.action);
  if (!isAllowed) throw forbidden(access.action);
}

/** The resource that the route is about. Rejects with `NOT_FOUND` or `FORBIDDEN`. */
export async function authorisedResource(route: AnyRoute, parts: ApiParts, request: FastifyRequest): Promise<unknown> {
  const { access } = route;
  if (access.kind !== 'resource') return undefined;
  const principal = principalOf(request);
  const found = await access.find(parts, request.params);
  if (found === undefined) throw notFound();
  if (mayForAll(principal, access.action, found.applications)) return found.value;
  throw mayForAll(principal, 'read', found.applications) ? forbidden(access.action) : notFound();
}

export function mayForAll(principal: Principal, action: Action, applications: readonly string[]): boolean {
  const all = applications.length === 0 ? [everywhere] : applications;
  return all.every((application) => may(principal, action, application));
}

/** What was asked for, of what may be seen: undefined for everything, also what is of no application. */
export function visibleApplications(
  principal: Principal,
  action: Action,
  asked: string | undefined,
): readonly string[] | undefined {
  const visible = applicationsFor(principal, action);
  if (asked === undefined) return visible === everywhere ? undefined : visible;
  return visible === everywhere || visible.includes(asked) ? [asked] : [];
}
