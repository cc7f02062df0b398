// `/api/v1/sessions`: logging in and out.
import { z } from 'zod';
import { logIn, logInAs } from '../../access/log-in.ts';
import { csrfTokenOf, endSession, startSession } from '../../access/sessions.ts';
import { grantsSchema, lineSchema, scopesSchema } from '../../access/schemas.ts';
import type { User } from '../../access/users.ts';
import { AppError } from '../../base/errors.ts';
import { cookieName, cookieOptions } from '../authentication.ts';
import type { OpenIdLogin } from '../openid.ts';
import type { ApiParts, OpenIdSettings } from '../parts.ts';
import { actorOf, defineRoute, principalOf, type AnyRoute } from '../route.ts';
import type { FastifyReply, FastifyRequest } from 'fastify';

const sessionSchema = z
  .object({
    kind: z.enum(['user', 'token', 'machine']),
    id: z.string(),
    name: z.string(),
    grants: grantsSchema,
    scopes: scopesSchema.optional(),
    csrfToken: z.string().optional().describe('to be sent as x-csrf-token with whatever changes something'),
  })
  .meta({ id: 'Session' });

async function begin(
  parts: ApiParts,
  user: User,
  { request, reply, through }: { request: FastifyRequest; reply: FastifyReply; through: 'password' | 'openid' },
): Promise<z.infer<typeof sessionSchema>> {
  const { secret, csrfToken } = await startSession(parts.log, user, { address: request.ip, through });
  void reply.setCookie(cookieName(parts), secret, cookieOptions(parts));
  return { kind: 'user', id: user.id, name: user.name, grants: [...user.grants], csrfToken };
}

const logInRoute = defineRoute({
  method: 'POST',
  path: '/api/v1/sessions',
  summary: 'Log in with name and password',
  access: { kind: 'public' },
  body: z.strictObject({ name: lineSchema(200), password: z.string().min(1).max(1024) }),
  answers: { 201: sessionSchema },
  async handle({ parts, body: { name, password }, request, reply }) {
    // A form of another site must not log somebody in as somebody else.
    if (request.headers['sec-fetch-site'] === 'cross-site') {
      throw new AppError('FORBIDDEN', 'another site can not log you in', { hint: 'Log in at this server itself.' });
    }
    const user = await logIn(parts.log, { name: name.toLowerCase(), password, address: request.ip });
    return begin(parts, user, { request, reply, through: 'password' });
  },
});

const currentRoute = defineRoute({
  method: 'GET',
  path: '/api/v1/sessions/current',
  summary: 'Say who asks, and what they may do',
  access: { kind: 'self' },
  answers: { 200: sessionSchema },
  handle({ request }) {
    const { kind, id, name, grants, scopes } = principalOf(request);
    const { sessionSecret } = request;
    return Promise.resolve({
      kind,
      id,
      name,
      grants,
      scopes,
      ...(sessionSecret !== undefined && { csrfToken: csrfTokenOf(sessionSecret) }),
    });
  },
});

const logOutRoute = defineRoute({
  method: 'DELETE',
  path: '/api/v1/sessions/current',
  summary: 'Log out',
  access: { kind: 'self' },
  answers: { 204: null },
  async handle({ parts, request, reply }) {
    const { sessionSecret } = request;
    if (sessionSecret === undefined) {
      throw new AppError('REQUEST_INVALID', 'a token has no session', { hint: 'Revoke the token, if that is meant.' });
    }
    await endSession(parts.log, sessionSecret, actorOf(request));
    return reply.clearCookie(cookieName(parts), cookieOptions(parts)).code(204).send();
  },
});

const pendingCookie = 'lifeboat_login';
const callbackPath = '/api/v1/sessions/openid/callback';
const pendingMaxSeconds = 600;

/** One for each settings: it remembers what it discovered. */
const logins = new WeakMap<OpenIdSettings, OpenIdLogin>();

/** Loaded where a provider is configured. */
const openIdModule = () => import('../openid.ts');

async function openIdLogin({ openid, publicUrl }: ApiParts): Promise<OpenIdLogin> {
  if (openid === undefined || publicUrl === undefined) {
    throw new AppError('NOT_FOUND', 'no OpenID provider is configured', { hint: 'Log in with name and password.' });
  }
  const { OpenIdLogin: Login } = await openIdModule();
  const login = logins.get(openid) ?? new Login(openid, new URL(callbackPath, publicUrl).href);
  logins.set(openid, login);
  return login;
}

const pendingOptions = (parts: ApiParts) => ({
  ...cookieOptions(parts),
  path: callbackPath,
  maxAge: pendingMaxSeconds,
});

const openIdRoute = defineRoute({
  method: 'GET',
  path: '/api/v1/sessions/openid',
  summary: 'Log in through the OpenID provider',
  access: { kind: 'public' },
  answers: { 302: null },
  async handle({ parts, reply }) {
    const login = await openIdLogin(parts);
    const { pendingText } = await openIdModule();
    const { url, pending } = await login.begin();
    return reply.setCookie(pendingCookie, pendingText(pending), pendingOptions(parts)).redirect(url, 302);
  },
});

const callbackRoute = defineRoute({
  method: 'GET',
  path: callbackPath,
  summary: 'Come back from the OpenID provider',
  access: { kind: 'public' },
  answers: { 302: null },
  async handle({ parts, request, reply }) {
    const login = await openIdLogin(parts);
    const { pendingIn } = await openIdModule();
    const pending = pendingIn(request.cookies[pendingCookie]);
    void reply.clearCookie(pendingCookie, pendingOptions(parts));
    const vouched = await login.finish(request.url.split('?')[1] ?? '', pending);
    const { newUserGrants } = parts.openid ?? {};
    const user = await logInAs(parts.log, vouched, { newUserGrants, address: request.ip });
    await begin(parts, user, { request, reply, through: 'openid' });
    return reply.redirect('/', 302);
  },
});

export const sessionRoutes: readonly AnyRoute[] = [logInRoute, currentRoute, logOutRoute, openIdRoute, callbackRoute];
