// What the API is given, and what of it a request carries.
import type { Writable } from 'node:stream';
import type { AuditLog } from '../access/audit-log.ts';
import type { Grant } from '../access/permissions.ts';
import type { NewRun } from '../catalog/runs.ts';
import type { ProcessSample } from '../monitoring/metrics/process-sample.ts';
import type { CommandAnswers } from '../service/command-answers.ts';
import type { Tenant } from '../service/tenant.ts';

/** What the API sees of the service beside it. */
export interface ServiceAccess {
  readonly tenants: () => readonly Tenant[];
  readonly answers: Pick<CommandAnswers, 'ask' | 'changed'>;
  readonly processSample: () => ProcessSample;
  /** Tells workers of a run that was stored. */
  readonly offer: (id: string, run: Pick<NewRun, 'labels' | 'priority' | 'wakeAtMs'>) => Promise<void>;
}

export interface ApiParts {
  /** With the catalog. */
  readonly log: AuditLog;
  readonly version: string;
  readonly service: ServiceAccess;
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
