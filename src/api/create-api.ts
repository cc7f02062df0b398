// The HTTP API as a whole: from the table of routes to a server. Everything that comes in passes limits, recognition and permission before
// a handler sees it.
import { randomUUID } from 'node:crypto';
import cookie from '@fastify/cookie';
import helmet from '@fastify/helmet';
import rateLimit from '@fastify/rate-limit';
import swagger from '@fastify/swagger';
import Fastify, { type FastifyInstance, type FastifyServerOptions } from 'fastify';
import { serializerCompiler, validatorCompiler } from 'fastify-type-provider-zod';
import { networkOf } from '../access/lock-out.ts';
import { AppError } from '../base/errors.ts';
import { authenticate } from './authentication.ts';
import { authoriseAtAll, authorisedResource } from './authorisation.ts';
import { describing, schemaOf, urlOf } from './description.ts';
import { EventStreams } from './event-stream.ts';
import { keepIfHeld, replayOrTake } from './idempotency.ts';
import type { ApiParts } from './parts.ts';
import { handleProblems } from './problem.ts';
import type { AnyRoute } from './route.ts';
import { routes as allRoutes } from './routes.ts';

declare module 'fastify' {
  interface FastifyInstance {
    eventStreams: EventStreams;
  }
}

const bodyMaxBytes = 256 * 1024;
const requestMaxMs = 30_000;
const requestsPerMinuteDefault = 1200;
const clientsMax = 10_000;

export async function createApi(parts: ApiParts, routes: readonly AnyRoute[] = allRoutes): Promise<FastifyInstance> {
  const app = Fastify({
    bodyLimit: bodyMaxBytes,
    requestTimeout: requestMaxMs,
    forceCloseConnections: true,
    exposeHeadRoutes: false,
    requestIdHeader: false,
    genReqId: () => randomUUID(),
    trustProxy: parts.trustedProxies === undefined ? false : [...parts.trustedProxies],
    logger: loggerFor(parts),
    routerOptions: { maxParamLength: 200 },
  });
  app.setValidatorCompiler(validatorCompiler);
  app.setSerializerCompiler(serializerCompiler);
  app.removeContentTypeParser(['text/plain', 'application/json']);
  const parseJson = app.getDefaultJsonParser('error', 'error');
  app.addContentTypeParser('application/json', { parseAs: 'string' }, (request, text, done) => {
    // Clients say so of every request, also of those without a body.
    if (text.length === 0) done(null, undefined);
    else void parseJson(request, String(text), done);
  });
  app.decorateRequest('principal', undefined);
  app.decorateRequest('sessionSecret', undefined);
  app.decorate('eventStreams', new EventStreams());
  app.addHook('preClose', () => Promise.resolve(app.eventStreams.close()));
  refuseUndeclared(app);
  await registerPlugins(app, parts);
  handleProblems(app, parts, app.rateLimit());
  app.addHook('onRequest', async (request, reply) => {
    void reply.headers({ 'x-request-id': request.id, 'cache-control': 'no-store' });
  });
  app.addHook('onSend', async (request, reply, payload) => {
    await keepIfHeld(parts, request, { reply, payload });
    return payload;
  });
  for (const route of routes) addRoute(app, route, parts);
  await app.ready();
  return app;
}

/** Returns the address. On loopback, unless something else is said. */
export async function listen(
  app: FastifyInstance,
  { host = '127.0.0.1', port }: { readonly host?: string | undefined; readonly port: number },
): Promise<string> {
  return app.listen({ host, port });
}

/** Neither headers nor addresses as they came are written down: people send secrets in the wrong places. */
function loggerFor({ accessLog }: ApiParts): NonNullable<FastifyServerOptions['logger']> {
  if (accessLog === undefined) return false;
  return {
    level: 'info',
    stream: accessLog,
    serializers: {
      req: ({ method, routeOptions, ip }) => ({ method, route: routeOptions.url ?? 'none', address: ip }),
      err: ({ name }: Error) => ({ type: name, message: '', stack: '' }),
    },
  };
}

/** A route that does not say who may use it keeps the server from starting. */
export function refuseUndeclared(app: FastifyInstance): void {
  app.addHook('onRoute', ({ method, url, config }) => {
    if (config?.route?.access === undefined) throw new Error(`${String(method)} ${url} does not say who may use it`);
  });
}

async function registerPlugins(app: FastifyInstance, parts: ApiParts): Promise<void> {
  await app.register(helmet, {
    contentSecurityPolicy: { useDefaults: false, directives: { defaultSrc: ["'none'"], frameAncestors: ["'none'"] } },
    strictTransportSecurity: parts.publicUrl?.protocol === 'https:',
    referrerPolicy: { policy: 'no-referrer' },
  });
  await app.register(cookie);
  await app.register(rateLimit, {
    global: false,
    max: parts.requestsPerMinute ?? requestsPerMinuteDefault,
    timeWindow: 60_000,
    cache: clientsMax,
    keyGenerator: ({ ip }) => networkOf(ip),
    errorResponseBuilder: (_request, { max }) =>
      new AppError('RATE_LIMITED', `more than ${max} requests in a minute`, {
        hint: 'Wait as long as Retry-After says.',
      }),
  });
  await app.register(swagger, describing);
}

function addRoute(app: FastifyInstance, route: AnyRoute, parts: ApiParts): void {
  const isPublic = route.access.kind === 'public';
  app.route({
    method: route.method,
    url: urlOf(route),
    schema: schemaOf(route),
    config: { route },
    onRequest: [
      ...(route.isUnlimited === true ? [] : [app.rateLimit()]),
      async (request) => {
        if (isPublic) return;
        await authenticate(parts, request);
        authoriseAtAll(route, request);
      },
    ],
    async handler(request, reply) {
      const resource = await authorisedResource(route, parts, request);
      if (await replayOrTake(parts, route, { request, reply })) return reply;
      const [status = 200] = Object.keys(route.answers).map(Number);
      void reply.code(status);
      const { params, query, body } = request;
      return route.handle({ parts, params, query, body, resource, request, reply });
    },
  });
}
