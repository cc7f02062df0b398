// What the server knows that bench/api.ts asks: 200 components with jobs by interval and by cron, and ten thousand runs of the last day.
import { writeFileSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { auditLogOf, systemActor, type AuditLog } from '../src/access/audit-log.ts';
import { createToken } from '../src/access/tokens.ts';
import { systemClock } from '../src/base/clock.ts';
import { openCatalog } from '../src/catalog/open-catalog.ts';
import { knownSchedules } from '../src/catalog/schedules.ts';
import { insertRun } from '../src/catalog/runs.ts';
import { neverRestored, saveStandings } from '../src/catalog/standings.ts';
import { parseConfiguration } from '../src/config/load.ts';
import { jobsOf } from '../src/model/job.ts';
import { scheduleIdOf } from '../src/service/scheduler.ts';
import type { Tenant } from '../src/service/tenant.ts';

const componentsCount = 200;
const runsCount = 10_000;
const names = Array.from({ length: componentsCount }, (_, at) => `files-${at}`);

/** The component that is backed up again and again: the folders of all others. */
export const wholeComponent = 'everything';

/** Writes lifeboat.yaml into the folder. */
export function configure(folder: string): Tenant {
  const text = `
application: shop
repositories: { local: { location: ./local } }
policies: { usual: { schedule: { every: 1h }, proof: { schedule: { cron: '0 3 * * SUN', timeZone: Europe/Berlin } } } }
components:
  ${wholeComponent}: { type: files, paths: [./data], policy: usual }
${names.map((name) => `  ${name}: { type: files, paths: [./data/${name}], policy: usual }`).join('\n')}
`;
  const environment = { variables: {}, workingFolder: folder, homeFolder: folder };
  const path = join(folder, 'lifeboat.yaml');
  writeFileSync(path, text);
  return { ...parseConfiguration(text, { path, environment }), configurationPath: path };
}

const filesEach = 20;
const fileBytes = 16 * 1024;

/** A few thousand files, others with each round: a twentieth of them. */
export async function writeFiles(folder: string, round: number | 'all'): Promise<void> {
  for (const [at, name] of names.entries()) {
    await mkdir(join(folder, 'data', name), { recursive: true });
    for (let file = 0; file < filesEach; file += 1) {
      if (round !== 'all' && (at * filesEach + file) % 20 !== round % 20) continue;
      const content = Buffer.alloc(fileBytes, `${name} ${file} ${round} `);
      await writeFile(join(folder, 'data', name, `file-${file}`), content);
    }
  }
}

/** The catalog in a state folder, filled, with a token that reads everything. To be closed. */
export async function openFilledCatalog(
  stateFolder: string,
  { application }: Tenant,
): Promise<{ readonly log: AuditLog; readonly token: string }> {
  const catalog = await openCatalog({ path: join(stateFolder, 'catalog.sqlite'), url: undefined }, systemClock);
  await catalog.transaction(async (trx) => {
    for (let at = 0; at < runsCount; at += 1) {
      const component = names[at % componentsCount] ?? '';
      const input = { application: 'shop', job: `backup/${component}`, round: at };
      const run = { kind: 'backup', application: 'shop', component, input, origin: { kind: 'request', by: 'bench' } };
      await insertRun(catalog, run, trx);
    }
    const endedAtMs = catalog.now();
    await trx.updateTable('run').set({ state: 'succeeded', startedAtMs: endedAtMs, endedAtMs }).execute();
  });
  const seenAtMs = await catalog.nowMs();
  const seen = {
    standing: 'protected',
    reason: 'proven 1 h ago',
    hint: null,
    ageMs: 1000,
    rpoMs: 2000,
    ...neverRestored,
    seenAtMs,
  };
  await saveStandings(
    catalog,
    'shop',
    names.map((component) => ({ ...seen, application: 'shop', component })),
  );
  const wanted = jobsOf(application).map(({ id, schedules }) => {
    return { id: scheduleIdOf('shop', id), spec: JSON.stringify(schedules) };
  });
  await knownSchedules(catalog, wanted);
  const log = auditLogOf(catalog, stateFolder);
  const { token } = await createToken(log, { name: 'bench', role: 'viewer', applications: ['*'] }, systemActor);
  return { log, token };
}
