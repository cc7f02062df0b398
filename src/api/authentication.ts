// Who asks: a bearer token, or a session's cookie. A cookie comes by itself from wherever a page sends it, so what changes something also needs
// a header that no other site knows.
import type { CookieSerializeOptions } from '@fastify/cookie';
import type { FastifyRequest } from 'fastify';
import type { Principal } from '../access/permissions.ts';
import { isCsrfToken, principalOfSession, sessionAges } from '../access/sessions.ts';
import { principalOfToken } from '../access/tokens.ts';
import { AppError } from '../base/errors.ts';
import type { ApiParts } from './parts.ts';

const isSecure = ({ publicUrl }: ApiParts): boolean => publicUrl?.protocol === 'https:';

/** `__Host-` lets a browser take it over TLS and from this very host alone. */
export const cookieName = (parts: ApiParts): string => (isSecure(parts) ? '__Host-lifeboat' : 'lifeboat_session');

export function cookieOptions(parts: ApiParts): CookieSerializeOptions {
  return {
    httpOnly: true,
    sameSite: 'lax',
    secure: isSecure(parts),
    path: '/',
    maxAge: sessionAges.ageMaxMs / 1000,
  };
}

export const csrfHeader = 'x-csrf-token';

/** Sets the principal of the request. Rejects with `UNAUTHENTICATED` if there is none. */
export async function authenticate(parts: ApiParts, request: FastifyRequest): Promise<void> {
  const { authorization } = request.headers;
  request.principal =
    authorization === undefined ? await bySession(parts, request) : await byToken(parts, authorization);
  if (request.principal !== undefined) return;
  throw new AppError('UNAUTHENTICATED', 'the request carries no valid token or session', {
    hint: 'Send Authorization: Bearer lb_…, or log in at /api/v1/sessions.',
  });
}

/** Looks again who they are: a stream lasts longer than a right may. Returns false if they are nobody any more. */
export async function recogniseAgain(parts: ApiParts, request: FastifyRequest): Promise<boolean> {
  const { authorization } = request.headers;
  request.principal =
    authorization === undefined
      ? await principalOfSession(parts.log.catalog, request.sessionSecret ?? '')
      : await byToken(parts, authorization);
  return request.principal !== undefined;
}

async function byToken({ log }: ApiParts, authorization: string): Promise<Principal | undefined> {
  const token = /^Bearer +(\S+)$/i.exec(authorization)?.[1];
  return token === undefined ? undefined : principalOfToken(log.catalog, token);
}

async function bySession(parts: ApiParts, request: FastifyRequest): Promise<Principal | undefined> {
  const secret = request.cookies[cookieName(parts)];
  if (secret === undefined) return undefined;
  const principal = await principalOfSession(parts.log.catalog, secret);
  if (principal === undefined) return undefined;
  const given = request.headers[csrfHeader];
  if (request.method !== 'GET' && (typeof given !== 'string' || !isCsrfToken(secret, given))) {
    throw new AppError('FORBIDDEN', `the request lacks the ${csrfHeader} of its session`, {
      hint: 'Send the csrfToken that the login returned in that header.',
    });
  }
  request.sessionSecret = secret;
  return principal;
}
