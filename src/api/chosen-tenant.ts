// Which of the configured applications a request is about: the one it names, or the only one that it may be about.
import type { FastifyRequest } from 'fastify';
import { may, type Action } from '../access/permissions.ts';
import { AppError } from '../base/errors.ts';
import type { Tenant } from '../service/tenant.ts';
import { forbidden, visibleApplications } from './authorisation.ts';
import type { ApiParts } from './parts.ts';
import { notFound } from './problem.ts';
import { principalOf } from './route.ts';

/** All for which it is allowed, in the order of their configuration; that of `name`, or none, if it is given. */
export function tenantsFor(
  { service }: ApiParts,
  request: FastifyRequest,
  { action, name }: { readonly action: Action; readonly name?: string | undefined },
): Tenant[] {
  const visible = visibleApplications(principalOf(request), action, name);
  return service.tenants().filter(({ application }) => visible?.includes(application.name) ?? true);
}

/** Rejects with `NOT_FOUND`, `FORBIDDEN`, or `REQUEST_INVALID` if it could be about several. */
export function tenantFor(
  parts: ApiParts,
  request: FastifyRequest,
  { action, name }: { readonly action: Action; readonly name: string | undefined },
): Tenant {
  const [only, other] = tenantsFor(parts, request, { action, name });
  if (other !== undefined) {
    throw new AppError('REQUEST_INVALID', 'it does not say which application it is about', {
      hint: 'Name one as application.',
    });
  }
  if (only !== undefined) return only;
  const isSeen = name !== undefined && isConfigured(parts, name) && may(principalOf(request), 'read', name);
  throw isSeen ? forbidden(action) : notFound();
}

const isConfigured = ({ service }: ApiParts, name: string): boolean =>
  service.tenants().some(({ application }) => application.name === name);
