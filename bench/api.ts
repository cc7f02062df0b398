// `npm run bench:api [-- --clients 50] [--seconds 10]`: how long readers of the API wait, many at once, over a catalog of a large
// installation. The server is a process of its own. Prints one JSON line for each route.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

const { values } = parseArgs({
  options: { clients: { type: 'string', default: '50' }, seconds: { type: 'string', default: '10' } },
});
const clients = Number(values.clients);
const paths = ['/api/v1/runs', '/api/v1/components', '/api/v1/schedules', '/api/v1/sessions/current', '/metrics'];

interface Served {
  readonly url: string;
  readonly token: string;
  readonly folder: string;
}

/** Asks one after the other until the time is over; returns what each answer took. */
async function client({ url, token }: Served, path: string, untilMs: number): Promise<number[]> {
  const tookMs: number[] = [];
  while (performance.now() < untilMs) {
    const startMs = performance.now();
    const response = await fetch(`${url}${path}`, { headers: { authorization: `Bearer ${token}` } });
    const { length } = await response.text();
    if (response.status !== 200 || length === 0) throw new Error(`${path} was answered with ${response.status}`);
    tookMs.push(performance.now() - startMs);
  }
  return tookMs;
}

const server = fork(join(import.meta.dirname, 'api-server.ts'));
const [served] = (await once(server, 'message')) as [Served];
const seconds = Number(values.seconds) / paths.length;
for (const path of paths) {
  const untilMs = performance.now() + seconds * 1000;
  const all = await Promise.all(Array.from({ length: clients }, () => client(served, path, untilMs)));
  const tookMs = all.flat().toSorted((left, right) => left - right);
  const share = (part: number): number => Number((tookMs[Math.floor((tookMs.length - 1) * part)] ?? 0).toFixed(1));
  const waits = { p50Ms: share(0.5), p95Ms: share(0.95), p99Ms: share(0.99) };
  process.stdout.write(
    `${JSON.stringify({ path, clients, perSecond: Math.round(tookMs.length / seconds), ...waits })}\n`,
  );
}
server.send('memory');
const [memory] = (await once(server, 'message')) as [object];
process.stdout.write(`${JSON.stringify(memory)}\n`);
server.disconnect();
await once(server, 'exit');
rmSync(served.folder, { recursive: true });
