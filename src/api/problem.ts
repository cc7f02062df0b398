// Whatever goes wrong becomes a problem document (RFC 9457): fact and hint for errors of the world, no more than an id for our own.
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest, preHandlerAsyncHookHandler } from 'fastify';
import { hasZodFastifySchemaValidationErrors } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { appendAudit } from '../access/audit-log.ts';
import { TooManyFailures } from '../access/log-in.ts';
import { AppError, asError, errorKinds, isAppError, type ErrorCode } from '../base/errors.ts';
import type { ApiParts } from './parts.ts';
import { actorOf } from './route.ts';

export const problemSchema = z
  .object({
    type: z.string(),
    title: z.string(),
    status: z.number(),
    code: z.string(),
    detail: z.string().optional(),
    hint: z.string().optional(),
    requestId: z.string(),
    errors: z.array(z.object({ at: z.string(), problem: z.string() })).optional(),
  })
  .meta({ id: 'Problem', description: 'A problem document (RFC 9457)' });

type Problem = z.infer<typeof problemSchema>;
type Place = NonNullable<Problem['errors']>[number];

interface Given {
  readonly code: ErrorCode | 'INTERNAL';
  readonly status?: number;
  readonly detail?: string;
  readonly hint?: string;
  readonly errors?: readonly Place[];
}

function problemOf({ code, status, errors, ...said }: Given, requestId: string): Problem {
  const kind = code === 'INTERNAL' ? { httpStatus: 500, meaning: 'Lifeboat has a defect.' } : errorKinds[code];
  return {
    type: `urn:lifeboat:error:${code}`,
    title: kind.meaning,
    status: status ?? kind.httpStatus,
    code,
    ...said,
    requestId,
    ...(errors !== undefined && { errors: [...errors] }),
  };
}

const placesMax = 20;

/** Says where and what was expected, never what was found: that may be a secret in the wrong place. */
function invalid(error: FastifyError, known: readonly string[]): Given {
  const issues = hasZodFastifySchemaValidationErrors(error) ? error.validation : [];
  const unknown = (instancePath: string): string =>
    `holds a key that is not known${known.length > 0 && instancePath.length <= 1 ? `; known are ${known.join(', ')}` : ''}`;
  const errors = issues.slice(0, placesMax).map(({ instancePath, keyword, message }) => ({
    at: `${error.validationContext ?? 'request'}${instancePath}`,
    problem: keyword === 'unrecognized_keys' ? unknown(instancePath) : (message ?? 'is not valid'),
  }));
  return {
    code: 'REQUEST_INVALID',
    detail: `the ${error.validationContext ?? 'request'} is not valid`,
    hint: 'See errors for each place, and /openapi.json for what is expected.',
    errors,
  };
}

/** Errors of the HTTP layer, by their status; their own words may repeat what was sent. */
function ofHttp(statusCode: number): Given {
  const hint = 'See /openapi.json for what is expected.';
  if (statusCode === 413) return { code: 'REQUEST_TOO_LARGE', detail: 'the request is too large', hint };
  const detail = statusCode === 415 ? 'the body is no JSON by its content type' : 'the request can not be read';
  return { code: 'REQUEST_INVALID', status: statusCode, detail, hint };
}

export function notFound(): AppError {
  return new AppError('NOT_FOUND', 'there is no such thing here, or not for you', {
    hint: 'Look at its address, and at the applications that you may see.',
  });
}

/** Keys that may stand where the request is wrong, at its top. */
function knownKeys({ validationContext }: FastifyError, { routeOptions }: FastifyRequest): string[] {
  const { body, query } = routeOptions.config.route ?? {};
  const schema = validationContext === 'body' ? body : query;
  const inner = innermost(schema);
  return inner instanceof z.ZodObject ? Object.keys(inner.shape) : [];
}

function innermost(schema: unknown): unknown {
  return schema instanceof z.ZodOptional || schema instanceof z.ZodNullable ? innermost(schema.unwrap()) : schema;
}

function givenOf(error: FastifyError, request: FastifyRequest): Given {
  if (isAppError(error)) return { code: error.code, detail: error.message, hint: error.hint };
  if (error.validation !== undefined) return invalid(error, knownKeys(error, request));
  const { statusCode } = error;
  return statusCode !== undefined && statusCode >= 400 && statusCode < 500 ? ofHttp(statusCode) : { code: 'INTERNAL' };
}

export function sendProblem(reply: FastifyReply, given: Given): void {
  const problem = problemOf(given, reply.request.id);
  // Past the schemas of answers: a problem has one shape wherever it comes from.
  void reply
    .code(problem.status)
    .header('content-type', 'application/problem+json; charset=utf-8')
    .serializer(JSON.stringify)
    .send(problem);
}

/** `limit` counts requests that meet no route. */
export function handleProblems(app: FastifyInstance, parts: ApiParts, limit: preHandlerAsyncHookHandler): void {
  app.setErrorHandler(async (error: FastifyError, request, reply) => {
    const given = givenOf(error, request);
    if (given.code === 'INTERNAL') parts.onProblem(asError(error), request.id);
    if (given.code === 'UNAUTHENTICATED') void reply.header('www-authenticate', 'Bearer realm="lifeboat"');
    if (error instanceof TooManyFailures) {
      void reply.header('retry-after', String(Math.ceil(error.retryAfterMs / 1000)));
    }
    if (given.code === 'FORBIDDEN') await auditRefusal(parts, request);
    sendProblem(reply, given);
    return reply;
  });
  app.setNotFoundHandler({ preHandler: limit }, (_request, reply) => {
    const { message, hint } = notFound();
    sendProblem(reply, { code: 'NOT_FOUND', detail: message, hint });
  });
}

/** Somebody known tried to change what they may not. */
async function auditRefusal({ log }: ApiParts, request: FastifyRequest): Promise<void> {
  if (request.method === 'GET' || request.principal === undefined) return;
  const target = `${request.method} ${request.routeOptions.url ?? ''}`;
  await appendAudit(log, { actor: actorOf(request), action: 'request.refused', target, outcome: 'refused' });
}
