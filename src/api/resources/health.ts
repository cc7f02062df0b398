// Whether it works: `/health` and its kin for probes of whoever asks, without a name of what is protected; and the databases of an
// application for those who may see it.
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { lineSchema } from '../../access/schemas.ts';
import type { Catalog } from '../../catalog/catalog.ts';
import { standingsOf } from '../../catalog/standings.ts';
import { liveWorkers } from '../../catalog/workers.ts';
import { standingNow } from '../../model/standing.ts';
import { tenantsFor } from '../chosen-tenant.ts';
import type { ApiParts } from '../parts.ts';
import { defineRoute, type AnyRoute } from '../route.ts';

const health = defineRoute({
  method: 'GET',
  path: '/health',
  isUnlimited: true,
  summary: 'Say whether the server is up',
  access: { kind: 'public' },
  answers: { 200: z.object({ status: z.enum(['ok', 'starting']), version: z.string() }) },
  handle: ({ parts }) => Promise.resolve({ status: parts.health(), version: parts.version }),
});

const outcome = z.enum(['ok', 'failed']);
const detailedSchema = z
  .object({
    status: outcome,
    version: z.string(),
    checks: z.array(z.object({ name: z.string(), status: outcome, message: z.string() })),
  })
  .meta({ id: 'Health' });

const detailed = defineRoute({
  method: 'GET',
  path: '/health/detailed',
  summary: 'Say whether its database answers, workers work, and configurations can be read; 503 if not',
  access: { kind: 'public' },
  answers: { 200: detailedSchema, 503: detailedSchema },
  async handle({ parts, reply }) {
    const checks = [await catalogCheck(parts), await workerCheck(parts), configurationCheck(parts)];
    const isWell = checks.every(({ status }) => status === 'ok');
    void reply.code(isWell ? 200 : 503);
    return { status: isWell ? ('ok' as const) : ('failed' as const), version: parts.version, checks };
  },
});

type Check = z.infer<typeof detailedSchema>['checks'][number];

const check = (name: string, isWell: boolean, message: string): Check => ({
  name,
  status: isWell ? 'ok' : 'failed',
  message,
});

const answerMaxMs = 5000;

/** What the catalog says; undefined if it says nothing, or too late. Why is for the log, not for strangers. */
async function asked<Answer>(
  { log, onProblem }: ApiParts,
  work: (catalog: Catalog) => Promise<Answer>,
): Promise<Answer | undefined> {
  const answer = work(log.catalog).catch((error: Error) => {
    onProblem(error, 'health');
    return undefined;
  });
  return Promise.race([answer, sleep(answerMaxMs, undefined, { ref: false })]);
}

async function catalogCheck(parts: ApiParts): Promise<Check> {
  const nowMs = await asked(parts, (catalog) => catalog.nowMs());
  return check('database', nowMs !== undefined, nowMs === undefined ? 'does not answer' : 'answers');
}

async function workerCheck(parts: ApiParts): Promise<Check> {
  const workers = await asked(parts, liveWorkers);
  const count = workers?.length ?? 0;
  return check('workers', count > 0, count > 0 ? `${count} at work` : 'none was heard of lately');
}

function configurationCheck({ service }: ApiParts): Check {
  const unreadable = service.tenants().filter(({ problem }) => problem !== undefined).length;
  const message = unreadable === 0 ? 'can be read' : `${unreadable} can't be read since they were changed`;
  return check('configuration', unreadable === 0, message);
}

const statusWord = z
  .enum(['ok', 'attention', 'unknown'])
  .describe('`attention`: something is not protected as promised; `unknown`: nobody has looked');

const status = defineRoute({
  method: 'GET',
  path: '/status',
  summary: 'Say in a word whether everything is protected as promised',
  access: { kind: 'public' },
  answers: { 200: z.object({ status: statusWord, version: z.string() }) },
  async handle({ parts }) {
    const { catalog } = parts.log;
    const nowMs = await catalog.nowMs();
    const rows = await standingsOf(catalog);
    const now = rows.map((row) => standingNow(row, nowMs).standing);
    const isUnknown = now.length === 0 || now.includes('unknown');
    const isWell = now.every((standing) => standing === 'protected');
    return { status: isUnknown ? 'unknown' : isWell ? 'ok' : 'attention', version: parts.version };
  },
});

const findingSchema = z.object({
  aspect: z.string(),
  outcome: z.enum(['passed', 'warning', 'failed', 'inconclusive']),
  message: z.string(),
  hint: z.string().optional(),
});
const databasesSchema = z.object({
  status: z.enum(['healthy', 'unhealthy', 'unknown']),
  databases: z.array(
    z.object({
      application: z.string(),
      component: z.string(),
      status: z.enum(['healthy', 'unhealthy', 'unknown']),
      findings: z.array(findingSchema),
    }),
  ),
});
type Databases = z.infer<typeof databasesSchema>['databases'];

/** What of the answer of `check` is used here. */
const checkedSchema = z.object({
  subjects: z.array(z.object({ subject: z.string(), findings: z.array(findingSchema) })),
});

const databases = defineRoute({
  method: 'GET',
  path: '/api/v1/system/health/database',
  summary:
    'Look at the databases that are protected: whether they answer, and whether they can be backed up; 503 if not',
  access: { kind: 'some', action: 'read' },
  query: z.object({ application: lineSchema(200).optional() }),
  answers: { 200: databasesSchema, 503: databasesSchema },
  async handle({ parts, query: { application: name }, request, reply }) {
    const found: Databases = [];
    for (const tenant of tenantsFor(parts, request, { action: 'read', name })) {
      const { application } = tenant;
      const names = application.components.filter(({ type }) => type === 'postgres').map((one) => one.name);
      if (names.length === 0) continue;
      const { summary } = await parts.service.answers.ask(tenant, ['check', ...names]);
      const { subjects } = checkedSchema.parse(summary);
      for (const component of names) {
        const findings = subjects.find(({ subject }) => subject === `component ${component}`)?.findings ?? [];
        found.push({ application: application.name, component, status: statusOf(findings), findings });
      }
    }
    const worst = worstOf(found.map((one) => one.status));
    void reply.code(worst === 'healthy' ? 200 : 503);
    return { status: worst, databases: found };
  },
});

function statusOf(findings: z.infer<typeof findingSchema>[]): Databases[number]['status'] {
  if (findings.some((finding) => finding.outcome === 'failed')) return 'unhealthy';
  return findings.length === 0 || findings.some((finding) => finding.outcome === 'inconclusive')
    ? 'unknown'
    : 'healthy';
}

function worstOf(all: readonly Databases[number]['status'][]): Databases[number]['status'] {
  return (['unhealthy', 'unknown'] as const).find((one) => all.includes(one)) ?? 'healthy';
}

export const healthRoutes: readonly AnyRoute[] = [health, detailed, status, databases];
