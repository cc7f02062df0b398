// The API that bench/api.ts asks as fast as it can: the real one, but for its limit of requests. Says where it is, and when asked
// what it has used.
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createApi, listen } from '../src/api/create-api.ts';
import { ProcessWatch } from '../src/monitoring/metrics/process-sample.ts';
import { configure, openFilledCatalog } from './api-fixture.ts';

const folder = mkdtempSync(join(tmpdir(), 'lifeboat-bench-api-'));
const tenant = configure(folder);
const { log, token } = await openFilledCatalog(folder, tenant);
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
    answers: { ask: () => Promise.reject(new Error('nobody is asked here')), changed: () => undefined },
    processSample: () => watch.sample(),
    offer: () => Promise.resolve(),
  },
});
const url = await listen(app, { port: 0 });
process.send?.({ url, token, folder });
process.on('message', () => {
  const { user, system } = process.cpuUsage();
  process.send?.({ cpuMs: (user + system) / 1000, residentMiB: Math.round(process.memoryUsage.rss() / 2 ** 20) });
});
await new Promise((resolve) => process.once('disconnect', resolve));
await app.close();
await log.catalog[Symbol.asyncDispose]();
