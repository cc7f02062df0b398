// `/api/v1/users`: who may log in, and what they may do. They concern all applications.
import type { FastifyRequest } from 'fastify';
import { z } from 'zod';
import { mayHandOn, type Grant } from '../../access/permissions.ts';
import { grantsSchema, lineSchema, userNameSchema } from '../../access/schemas.ts';
import {
  createUser,
  endSessionsOf,
  findUser,
  listUsers,
  removeUser,
  setDisabled,
  setGrants,
  setPassword,
  type User,
} from '../../access/users.ts';
import { userView } from '../../access/views.ts';
import { forbidden } from '../authorisation.ts';
import type { ApiParts } from '../parts.ts';
import { notFound } from '../problem.ts';
import { actorOf, defineRoute, idParams, principalOf, type Found } from '../route.ts';

const action = 'user.manage';

const userSchema = z
  .object({
    id: z.string(),
    name: z.string(),
    grants: grantsSchema,
    identities: z.array(z.object({ issuer: z.string(), subject: z.string() })),
    hasPassword: z.boolean(),
    createdAt: z.string(),
    disabledAt: z.string().optional(),
  })
  .meta({ id: 'User' });

const passwordSchema = z.string().min(12).max(512);

const access = {
  kind: 'resource',
  action,
  async find({ log }: ApiParts, { id }: z.infer<typeof idParams>): Promise<Found<User> | undefined> {
    const user = await findUser(log.catalog, { id });
    return user && { applications: [], value: user };
  },
} as const;

/** A token for the management of users alone must not make itself, or take over, somebody who may do more. */
function refuseWider(request: FastifyRequest, ...grants: readonly (readonly Grant[])[]): void {
  if (!mayHandOn(principalOf(request), grants.flat())) throw forbidden(action);
}

const list = defineRoute({
  method: 'GET',
  path: '/api/v1/users',
  summary: 'List users',
  access: { kind: 'server', action },
  answers: { 200: z.object({ items: z.array(userSchema) }) },
  handle: async ({ parts }) => ({ items: (await listUsers(parts.log.catalog)).map(userView) }),
});

const create = defineRoute({
  method: 'POST',
  path: '/api/v1/users',
  summary: 'Create a user',
  access: { kind: 'server', action },
  body: z.strictObject({
    name: userNameSchema,
    grants: grantsSchema,
    password: passwordSchema.optional(),
    identity: z.strictObject({ issuer: z.url().max(500), subject: lineSchema(255) }).optional(),
  }),
  answers: { 201: userSchema },
  async handle({ parts, body, request }) {
    refuseWider(request, body.grants);
    return userView(await createUser(parts.log, body, actorOf(request)));
  },
});

const show = defineRoute({
  method: 'GET',
  path: '/api/v1/users/{id}',
  summary: 'Show a user',
  params: idParams,
  access,
  answers: { 200: userSchema },
  handle: ({ resource }) => Promise.resolve(userView(resource)),
});

const change = defineRoute({
  method: 'PATCH',
  path: '/api/v1/users/{id}',
  summary: 'Change roles or password of a user, shut one out, or let one in again',
  params: idParams,
  access,
  body: z.strictObject({
    grants: grantsSchema.optional(),
    password: passwordSchema.optional(),
    isDisabled: z.boolean().optional(),
  }),
  answers: { 200: userSchema },
  async handle({ parts: { log }, params: key, body: { grants, password, isDisabled }, resource, request }) {
    const actor = actorOf(request);
    refuseWider(request, resource.grants, grants ?? []);
    // First what may be refused still: not half of it must be done.
    if (password !== undefined) await setPassword(log, key, { password, actor });
    if (grants !== undefined) await setGrants(log, key, { grants, actor });
    if (isDisabled !== undefined) await setDisabled(log, key, { isDisabled, actor });
    const user = await findUser(log.catalog, key);
    if (user === undefined) throw notFound();
    return userView(user);
  },
});

const remove = defineRoute({
  method: 'DELETE',
  path: '/api/v1/users/{id}',
  summary: 'Remove a user',
  params: idParams,
  access,
  answers: { 204: null },
  async handle({ parts, params, resource, request, reply }) {
    refuseWider(request, resource.grants);
    await removeUser(parts.log, params, actorOf(request));
    return reply.code(204).send();
  },
});

const endSessions = defineRoute({
  method: 'DELETE',
  path: '/api/v1/users/{id}/sessions',
  summary: 'End all sessions of a user',
  params: idParams,
  access,
  answers: { 204: null },
  async handle({ parts, params, request, reply }) {
    await endSessionsOf(parts.log, params, actorOf(request));
    return reply.code(204).send();
  },
});

export const userRoutes = [list, create, show, change, remove, endSessions];
