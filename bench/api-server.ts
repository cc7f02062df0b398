// The server that bench/api.ts asks: 200 components, and ten thousand runs of the last day. Says where it is, and how much memory it has.
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { auditLogOf, systemActor } from '../src/access/audit-log.ts';
import { createToken } from '../src/access/tokens.ts';
import { createApi, listen } from '../src/api/create-api.ts';
import { systemClock } from '../src/base/clock.ts';
import { openCatalog } from '../src/catalog/open-catalog.ts';
import { knownSchedules } from '../src/catalog/schedules.ts';
import { insertRun } from '../src/catalog/runs.ts';
import { saveStandings } from '../src/catalog/standings.ts';
import { parseConfiguration } from '../src/config/load.ts';
import { jobsOf } from '../src/model/job.ts';
import { ProcessWatch } from '../src/monitoring/metrics/process-sample.ts';
import { scheduleIdOf } from '../src/service/scheduler.ts';

const componentsCount = 200;
const runsCount = 10_000;

const folder = mkdtempSync(join(tmpdir(), 'lifeboat-bench-api-'));
const names = Array.from({ length: componentsCount }, (_, at) => `files-${at}`);
const text = `
application: shop
repositories: { local: { location: ./local } }
policies: { hourly: { schedule: { every: 1h }, proof: { schedule: { every: 7d } } } }
components:
${names.map((name) => `  ${name}: { type: files, paths: [/srv/${name}], policy: hourly }`).join('\n')}
`;
const environment = { variables: {}, workingFolder: folder, homeFolder: folder };
const path = join(folder, 'lifeboat.yaml');
const tenant = { ...parseConfiguration(text, { path, environment }), configurationPath: path };

const catalog = await openCatalog({ path: join(folder, 'catalog.sqlite'), url: undefined }, systemClock);
await catalog.transaction(async (trx) => {
  for (let at = 0; at < runsCount; at += 1) {
    const component = names[at % componentsCount] ?? '';
    const input = { application: 'shop', job: `backup/${component}`, round: at };
    const run = { kind: 'backup', application: 'shop', component, input, origin: { kind: 'request', by: 'bench' } };
    await insertRun(catalog, run, trx);
  }
  await trx
    .updateTable('run')
    .set({ state: 'succeeded', startedAtMs: catalog.now(), endedAtMs: catalog.now() })
    .execute();
});
const seenAtMs = await catalog.nowMs();
const seen = {
  application: 'shop',
  standing: 'protected',
  reason: 'proven 1 h ago',
  hint: null,
  ageMs: 1000,
  rpoMs: 2000,
};
await saveStandings(
  catalog,
  'shop',
  names.map((component) => ({ ...seen, component, seenAtMs })),
);
await knownSchedules(
  catalog,
  jobsOf(tenant.application).map(({ id }) => ({ id: scheduleIdOf('shop', id), spec: '' })),
);
const log = auditLogOf(catalog, folder);
const { token } = await createToken(log, { name: 'bench', role: 'viewer', applications: ['*'] }, systemActor);
using watch = new ProcessWatch();
const app = await createApi({
  log,
  version: 'bench',
  requestsPerMinute: 100_000_000,
  health: () => 'ok',
  onProblem: (error) => {
    throw error;
  },
  service: {
    tenants: () => [tenant],
    answers: { ask: () => Promise.reject(new Error('nobody is asked here')) },
    processSample: () => watch.sample(),
    offer: () => Promise.resolve(),
  },
});
const url = await listen(app, { port: 0 });
process.send?.({ url, token, folder });
process.on('message', () => process.send?.({ residentMiB: Math.round(process.memoryUsage.rss() / 2 ** 20) }));
await new Promise((resolve) => process.once('disconnect', resolve));
await app.close();
await catalog[Symbol.asyncDispose]();
