// What the API is given, and what of it a request carries.
import type { Writable } from 'node:stream';
import type { AuditLog } from '../access/audit-log.ts';
import type { Grant } from '../access/permissions.ts';

export interface ApiParts {
  /** With the catalog. */
  readonly log: AuditLog;
  readonly version: string;
  /** Under which people reach it; with https, cookies never travel in the clear. */
  readonly publicUrl?: URL | undefined;
  /** Without it nobody logs in through a provider. */
  readonly openid?: OpenIdSettings | undefined;
  /** Addresses whose `X-Forwarded-For` is believed. */
  readonly trustedProxies?: readonly string[] | undefined;
  /** Of one address; 1,200 if absent. */
  readonly requestsPerMinute?: number | undefined;
  readonly health: () => 'ok' | 'starting';
  /** Hears of defects; the answer says no more than the request's id. */
  readonly onProblem: (error: Error, requestId: string) => void;
  /** JSON lines, one for each request; none if absent. */
  readonly accessLog?: Writable | undefined;
  /** How often a stream looks for news; half a second if absent. */
  readonly pollMs?: number | undefined;
}

export interface OpenIdSettings {
  readonly issuer: URL;
  readonly clientId: string;
  readonly clientSecret: string;
  /** What somebody may do whom nobody has linked yet; if absent they are refused. */
  readonly newUserGrants?: readonly Grant[] | undefined;
}
