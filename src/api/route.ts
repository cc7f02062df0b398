// The shape of a route: who may use it, what comes in, what goes out. None can be declared without saying who may.
import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import type { Actor } from '../access/audit-log.ts';
import type { Action, Principal } from '../access/permissions.ts';
import type { ApiParts } from './parts.ts';

type Schema = z.ZodType;

/** A thing that belongs to applications: who may not see these, to them it is not there. */
export interface Found<Resource> {
  /** Empty for what belongs to none of them, but to the server. */
  readonly applications: readonly string[];
  readonly value: Resource;
}

export type RouteAccess<Params, Resource> =
  /** Everybody, without saying who they are. */
  | { readonly kind: 'public' }
  /** Whoever was recognised: it is about themselves. */
  | { readonly kind: 'self' }
  /** Concerns the server as a whole. */
  | { readonly kind: 'server'; readonly action: Action }
  /** Who may do it for some application; the handler leaves out what concerns others. */
  | { readonly kind: 'some'; readonly action: Action }
  | {
      readonly kind: 'resource';
      readonly action: Action;
      readonly find: (parts: ApiParts, params: Params) => Promise<Found<Resource> | undefined>;
    };

export interface Call<Params, Query, Body, Resource> {
  readonly parts: ApiParts;
  readonly params: Params;
  readonly query: Query;
  readonly body: Body;
  /** What `find` found. */
  readonly resource: Resource;
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
}

export interface Route<
  Params extends Schema = Schema,
  Query extends Schema = Schema,
  Body extends Schema = Schema,
  Resource = unknown,
> {
  readonly method: 'GET' | 'POST' | 'PATCH' | 'DELETE';
  /** As in OpenAPI: `/api/v1/runs/{id}`. */
  readonly path: string;
  /** One phrase, imperative, without a period. */
  readonly summary: string;
  readonly access: RouteAccess<z.infer<Params>, Resource>;
  readonly params?: Params;
  readonly query?: Query;
  readonly body?: Body;
  /** What is answered when all went well; the first is the usual one. `null` for nothing, or for what is no JSON. */
  readonly answers: Readonly<Record<number, Schema | null>>;
  /** What of an answer is kept for a request that is repeated with the same idempotency key; all of it if absent. */
  readonly keptAnswer?: (answer: string) => string;
  /** Asked by what decides whether the server lives, as often as it likes. */
  readonly isUnlimited?: boolean;
  /** In the description, unless this says no. */
  readonly isDescribed?: boolean;
  handle(call: Call<z.infer<Params>, z.infer<Query>, z.infer<Body>, Resource>): Promise<unknown>;
}

/** A route whose types were checked where it was defined. */
export type AnyRoute = Route;

export function defineRoute<
  Params extends Schema = z.ZodUnknown,
  Query extends Schema = z.ZodUnknown,
  Body extends Schema = z.ZodUnknown,
  Resource = undefined,
>(route: Route<Params, Query, Body, Resource>): AnyRoute {
  return route;
}

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Set by our table of routes alone. */
    route?: AnyRoute;
  }
  interface FastifyRequest {
    principal: Principal | undefined;
    sessionSecret: string | undefined;
  }
}

/** Of a route that is not public. */
export function principalOf({ principal }: FastifyRequest): Principal {
  if (principal === undefined) throw new Error('a public route has no principal');
  return principal;
}

export function actorOf(request: FastifyRequest): Actor {
  const { kind, id, name } = principalOf(request);
  return { kind, id, name, address: request.ip };
}

export const idParams = z.object({ id: z.uuid() });
