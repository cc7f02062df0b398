// `/api/v1/tokens`: keys for programs. Who manages those of one application sees no others.
import { z } from 'zod';
import { refuseBeyondRole, type Principal } from '../../access/permissions.ts';
import { applicationsSchema, lineSchema, roleSchema, scopesSchema } from '../../access/schemas.ts';
import { createToken, findToken, listTokens, revokeToken } from '../../access/tokens.ts';
import { tokenView } from '../../access/views.ts';
import { AppError } from '../../base/errors.ts';
import { forbidden, mayForAll } from '../authorisation.ts';
import { actorOf, defineRoute, idParams, principalOf } from '../route.ts';

const action = 'token.manage';

const tokenSchema = z
  .object({
    id: z.string(),
    name: z.string(),
    state: z.enum(['valid', 'expired', 'revoked']),
    role: roleSchema,
    applications: applicationsSchema,
    scopes: scopesSchema.optional(),
    createdBy: z.string(),
    createdAt: z.string(),
    expiresAt: z.string().optional(),
    lastUsedAt: z.string().optional(),
    revokedAt: z.string().optional(),
  })
  .meta({ id: 'Token' });

const createdSchema = tokenSchema.extend({
  token: z.string().nullable().describe('shown this once; null where an idempotency key repeats the request'),
});

const list = defineRoute({
  method: 'GET',
  path: '/api/v1/tokens',
  summary: 'List tokens, newest last',
  access: { kind: 'some', action },
  answers: { 200: z.object({ items: z.array(tokenSchema) }) },
  async handle({ parts, request }) {
    const { catalog } = parts.log;
    const nowMs = await catalog.nowMs();
    const records = await listTokens(catalog);
    const own = records.filter(({ applications }) => mayForAll(principalOf(request), action, applications));
    return { items: own.map((record) => tokenView(record, nowMs)) };
  },
});

const create = defineRoute({
  method: 'POST',
  path: '/api/v1/tokens',
  summary: 'Create a token; it is shown this once',
  access: { kind: 'some', action },
  body: z.strictObject({
    name: lineSchema(100),
    role: roleSchema,
    applications: applicationsSchema,
    scopes: scopesSchema.optional(),
    expiresAt: z.iso.datetime().optional(),
  }),
  answers: { 201: createdSchema },
  keptAnswer: (answer) => JSON.stringify({ ...(JSON.parse(answer) as object), token: null }),
  async handle({ parts, body: { expiresAt, ...wish }, request }) {
    const principal = principalOf(request);
    if (!mayForAll(principal, action, wish.applications)) throw forbidden(action);
    const scopes = wish.scopes ?? principal.scopes;
    if (!isWithin(scopes, principal)) throw forbidden(action);
    refuseBeyondRole(wish.role, wish.scopes ?? [], 'REQUEST_INVALID');
    const nowMs = await parts.log.catalog.nowMs();
    const expiresAtMs = expiresAt === undefined ? principal.endsAtMs : Date.parse(expiresAt);
    if ((expiresAtMs ?? Infinity) > (principal.endsAtMs ?? Infinity)) throw forbidden(action);
    if (expiresAtMs !== undefined && expiresAtMs <= nowMs) {
      throw new AppError('REQUEST_INVALID', 'expiresAt is in the past', {
        hint: 'Give a time to come, or leave it out.',
      });
    }
    const { token, record } = await createToken(parts.log, { ...wish, scopes, expiresAtMs }, actorOf(request));
    return { ...tokenView(record, nowMs), token };
  },
});

/** A token that may do less must not make one that may do more; nor, above, one that outlives it. */
function isWithin(scopes: Principal['scopes'], { scopes: own }: Principal): boolean {
  return own === undefined || (scopes?.every((scope) => own.includes(scope)) ?? false);
}

const revoke = defineRoute({
  method: 'DELETE',
  path: '/api/v1/tokens/{id}',
  summary: 'Revoke a token at once',
  params: idParams,
  access: {
    kind: 'resource',
    action,
    async find({ log }, { id }) {
      const record = await findToken(log.catalog, id);
      return record && { applications: record.applications, value: record };
    },
  },
  answers: { 204: null },
  async handle({ parts, params, request, reply }) {
    await revokeToken(parts.log, params.id, actorOf(request));
    return reply.code(204).send();
  },
});

export const tokenRoutes = [list, create, revoke];
