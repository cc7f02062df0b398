// `/api/v1/system/backup`: back up, look at what there is, verify it, bring it back. The component types have the names that people
// give them.
import type { FastifyRequest } from 'fastify';
import { z } from 'zod';
import { lineSchema } from '../../access/schemas.ts';
import { may } from '../../access/permissions.ts';
import { AppError } from '../../base/errors.ts';
import { count } from '../../base/count.ts';
import type { Component } from '../../model/component.ts';
import { jobsOnDemand } from '../../model/job.ts';
import { runOfJob } from '../../service/job-runs.ts';
import { recoveryPoints, type RecoveryPoint } from '../../service/recovery-points.ts';
import { runOfRestore } from '../../service/restore-runs.ts';
import type { Tenant } from '../../service/tenant.ts';
import { runOfWarmUp } from '../../service/warm-up-runs.ts';
import { notConfirmed, originOf, startedRuns, startedSchema } from '../asked-work.ts';
import { forbidden } from '../authorisation.ts';
import { tenantFor, tenantsFor } from '../chosen-tenant.ts';
import type { ApiParts } from '../parts.ts';
import { pointPage, pointPageSchema, pointQuery } from '../point-view.ts';
import { defineRoute, principalOf, type AnyRoute } from '../route.ts';

const typeNames = {
  full: undefined,
  database: ['postgres'],
  cache: ['redis'],
  files: ['files'],
  configuration: ['config'],
} as const satisfies Record<string, readonly Component['type'][] | undefined>;

const typeSchema = z.enum(Object.keys(typeNames) as (keyof typeof typeNames)[]);
type TypeName = z.infer<typeof typeSchema>;

const name = lineSchema(200).optional().describe('may be left out where you may see but one');
const backupId = z
  .string()
  .regex(/^[0-9a-f]{8,64}$/, 'expected the id of a backup, or its first 8 digits at least')
  .describe('id of a recovery point, as the history has it, or its first digits');

function isOfType({ type }: Component, wanted: TypeName): boolean {
  const types: readonly Component['type'][] | undefined = typeNames[wanted];
  return types?.includes(type) ?? true;
}

const backUp = defineRoute({
  method: 'POST',
  path: '/api/v1/system/backup',
  summary: 'Back up everything, or all components of one type',
  access: { kind: 'some', action: 'run.start' },
  body: z.strictObject({
    type: typeSchema.default('full'),
    description: lineSchema(500).optional().describe('a note that stays with each backup'),
    application: name,
  }),
  answers: { 202: startedSchema },
  async handle({ parts, body: { type, description, application: wanted }, request }) {
    const { application } = tenantFor(parts, request, { action: 'run.start', name: wanted });
    const jobs = jobsOnDemand(application).filter(
      (job) =>
        job.kind === 'backup' &&
        application.components.some((one) => one.name === job.component && isOfType(one, type)),
    );
    if (jobs.length === 0) {
      throw new AppError('NOT_FOUND', `${application.name} has no component of type ${type}`, {
        hint: 'Give full as type, or look at /api/v1/components.',
      });
    }
    const wish = { application: application.name, round: 0, description };
    return startedRuns(parts, request, { runs: jobs.map((job) => runOfJob({ ...wish, job }, originOf(request))) });
  },
});

const history = defineRoute({
  method: 'GET',
  path: '/api/v1/system/backup/history',
  summary: 'List the backups that there are, newest first',
  access: { kind: 'some', action: 'read' },
  query: pointQuery,
  answers: { 200: pointPageSchema },
  handle: ({ parts, query, request }) => pointPage(parts, request, query),
});

const verify = defineRoute({
  method: 'POST',
  path: '/api/v1/system/backup/verify',
  summary: 'Verify a backup: restore it into a sandbox and compare, or check what is stored',
  access: { kind: 'some', action: 'run.start' },
  body: z.strictObject({
    backupId,
    level: z
      .enum(['restore', 'data', 'structure'])
      .default('restore')
      .describe('`restore`: really restore this backup; `data`: read all of its repository; `structure`: all but data'),
    application: name,
  }),
  answers: { 202: startedSchema },
  async handle({ parts, body, request }) {
    const { tenant, point, component } = await pointFor(parts, request, { ...body, action: 'run.start' });
    const { application } = tenant;
    const { repository, id: snapshot } = point;
    const id = body.level === 'restore' ? `proof/${component.name}` : `verification/${repository}/${body.level}`;
    const job = jobsOnDemand(application).find((one) => one.id === id);
    if (job === undefined) throw unknownBackup(body.backupId);
    const wish = { application: application.name, job, round: 0 };
    const pointWish = body.level === 'restore' ? { point: { snapshot, repository } } : {};
    return startedRuns(parts, request, { runs: [runOfJob({ ...wish, ...pointWish }, originOf(request))] });
  },
});

const restore = defineRoute({
  method: 'POST',
  path: '/api/v1/system/backup/restore',
  summary: 'Restore a backup, beside or over the original; over it waits for an approval',
  access: { kind: 'some', action: 'restore' },
  body: z.strictObject({
    backupId,
    type: typeSchema.optional().describe('of what is restored; another one is refused'),
    application: name,
    target: z
      .enum(['original', 'beside'])
      .default('original')
      .describe('`beside`: a new folder below restores/ in the state folder of the worker'),
    include: z.array(lineSchema(200)).max(10).default([]).describe('only these paths, patterns or databases'),
    confirm: lineSchema(200)
      .optional()
      .describe('the name of the component, from somebody who may approve restores: it waits for nobody else then'),
  }),
  answers: { 202: startedSchema },
  async handle({ parts, body, request }) {
    const { target, include, confirm, type = 'full' } = body;
    const { tenant, point, component } = await pointFor(parts, request, { ...body, action: 'restore' });
    const { name: application } = tenant.application;
    if (!isOfType(component, type)) {
      throw new AppError('REQUEST_INVALID', `that backup is of ${component.name}, which is ${component.type}`, {
        hint: 'Give its type, or leave type out.',
      });
    }
    if (confirm !== undefined && confirm !== component.name) throw notConfirmed(component.name);
    const wish = { application, component: component.name, snapshot: point.id, repository: point.repository };
    const run = runOfRestore({ ...wish, target, include }, component, originOf(request));
    const isApproved =
      target === 'original' && confirm !== undefined && may(principalOf(request), 'restore.approve', application);
    return startedRuns(parts, request, { runs: [run], isApproved });
  },
});

const fillCaches = defineRoute({
  method: 'POST',
  path: '/api/v1/system/cache/warmup',
  summary: 'Fill caches again, by the steps that are configured for it',
  access: { kind: 'some', action: 'run.start' },
  // People ask for it without any.
  body: z
    .strictObject({
      steps: z.array(lineSchema(100)).max(100).default([]).describe('names of steps of warmUp; all if there is none'),
      application: name,
    })
    .nullish(),
  answers: { 202: startedSchema },
  async handle({ parts, body, request }) {
    const { steps = [], application: wanted } = body ?? {};
    const { application, warmUp = {} } = tenantFor(parts, request, { action: 'run.start', name: wanted });
    const known = Object.keys(warmUp);
    const unknown = steps.find((step) => !known.includes(step));
    if (known.length === 0 || unknown !== undefined) {
      const what = unknown === undefined ? 'no step that fills caches' : `no step '${unknown}' in warmUp`;
      const hint = known.length === 0 ? 'Add one to warmUp in lifeboat.yaml.' : `There are ${known.join(', ')}.`;
      throw new AppError('NOT_FOUND', `${application.name} has ${what}`, { hint });
    }
    const run = runOfWarmUp({ application: application.name, steps }, originOf(request));
    return startedRuns(parts, request, { runs: [run] });
  },
});

interface FoundPoint {
  readonly tenant: Tenant;
  readonly point: RecoveryPoint;
  /** As it is configured now. */
  readonly component: Component;
}

/** Rejects with `NOT_FOUND`, also for one of an application that is not for them; with `AMBIGUOUS` for too few digits. */
async function pointFor(
  parts: ApiParts,
  request: FastifyRequest,
  wish: {
    readonly backupId: string;
    readonly application?: string | undefined;
    readonly action: 'run.start' | 'restore';
  },
): Promise<FoundPoint> {
  const { backupId: id, application: wanted, action } = wish;
  const seen = tenantsFor(parts, request, { action: 'read', name: wanted });
  const { points, unread } = await recoveryPoints(parts.service.answers, seen);
  const fitting = points.filter((point) => point.id.startsWith(id));
  const [point] = fitting;
  if (point === undefined) throw unknownBackup(id, unread.length);
  if (fitting.some((other) => other.id !== point.id)) {
    throw new AppError('AMBIGUOUS', `${id} are the first digits of several backups`, { hint: 'Give more of them.' });
  }
  const tenant = seen.find(({ application }) => application.name === point.application);
  const component = tenant?.application.components.find((one) => one.name === point.component);
  if (tenant === undefined || component === undefined) throw unknownBackup(id);
  if (!may(principalOf(request), action, point.application)) throw forbidden(action);
  return { tenant, point, component };
}

function unknownBackup(id: string, unread = 0): AppError {
  const doubt = unread === 0 ? '' : `; ${count(unread, 'repository')} could not be read`;
  return new AppError('NOT_FOUND', `there is no backup ${id} of a component that is configured${doubt}`, {
    hint: 'Look at /api/v1/system/backup/history.',
  });
}

export const systemBackupRoutes: readonly AnyRoute[] = [backUp, history, restore, verify, fillCaches];
