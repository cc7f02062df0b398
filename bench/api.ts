// `npm run bench:api [-- --clients 50] [--seconds 20]`: how long readers of the API wait, many at once, over a catalog of a large
// installation. First each route as fast as it can (throughput, and processor time of a request); then as in life: a server at its jobs,
// backups beside it, and clients that ask ten times a second. Prints what it measures and appends it to bench/results.jsonl.
import { fork, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { askAtOnce, askByBeat, Client, paths, waitsOf, type Served } from './api-clients.ts';
import { startLivingServer, useOf, type Use } from './api-life.ts';
import { record } from './record.ts';

const { values } = parseArgs({
  options: { clients: { type: 'string', default: '50' }, seconds: { type: 'string', default: '20' } },
});
const clientsCount = Number(values.clients);
const seconds = Number(values.seconds);
const everyMs = 100;

const clientsOf = (served: Served): Client[] =>
  Array.from({ length: clientsCount }, (_, number) => new Client(served, number));

async function throughput(): Promise<object> {
  const server = fork(join(import.meta.dirname, 'api-server.ts'), {
    // As the program starts itself.
    execArgv: ['--heap-growing-percent=30'],
    env: { ...process.env, MALLOC_MMAP_THRESHOLD_: '131072' },
  });
  const [served] = (await once(server, 'message')) as [Served & { readonly folder: string }];
  const used = async (): Promise<Use> => {
    server.send('use');
    const [use] = (await once(server, 'message')) as [Use];
    return use;
  };
  const { residentMiB: restMiB } = await used();
  const clients = clientsOf(served);
  const routes: object[] = [];
  for (const path of paths) {
    await Promise.all(clients.map((client) => askAtOnce(client, path, performance.now() + 500)));
    const { cpuMs } = await used();
    const startMs = performance.now();
    const untilMs = startMs + (seconds / paths.length) * 1000;
    const answered = (await Promise.all(clients.map((client) => askAtOnce(client, path, untilMs)))).flat();
    const perSecond = Math.round((answered.length * 1000) / (performance.now() - startMs));
    const cpuMsEach = Number((((await used()).cpuMs - cpuMs) / answered.length).toFixed(2));
    routes.push(told({ path, perSecond, cpuMsEach, ...waitsOf(answered) }));
  }
  const { residentMiB } = await used();
  for (const client of clients) client[Symbol.dispose]();
  server.disconnect();
  await once(server, 'exit');
  rmSync(served.folder, { recursive: true });
  return { routes, ...told({ restMiB, residentMiB }) };
}

const lookEveryMs = 1000;
/** Before it counts: a server that was just started takes up all schedules, and its code is not yet compiled. */
const settleMs = 5000;

async function inLife(): Promise<object> {
  await using server = await startLivingServer();
  using watcher = new Client(server, clientsCount);
  const rest = await useOf(watcher);
  const stopping = new AbortController();
  const backups = server.backUpUntil(stopping.signal);
  const clients = clientsOf(server);
  const askUntil = (untilMs: number) =>
    Promise.all(clients.map((client, number) => askByBeat(client, { number, everyMs, untilMs })));
  await askUntil(performance.now() + settleMs);
  const begun = await useOf(watcher);
  const startMs = performance.now();
  const untilMs = startMs + seconds * 1000;
  const asked = askUntil(untilMs);
  let residentMaxMiB = begun.residentMiB;
  let last = begun;
  while (performance.now() < untilMs) {
    await sleep(lookEveryMs);
    last = await useOf(watcher);
    residentMaxMiB = Math.max(residentMaxMiB, last.residentMiB);
  }
  const answered = (await asked).flat();
  const passedMs = performance.now() - startMs;
  stopping.abort();
  for (const client of clients) client[Symbol.dispose]();
  for (const path of paths) told({ path, ...waitsOf(answered.filter((one) => one.path === path)) });
  return told({
    perSecond: Math.round((answered.length * 1000) / passedMs),
    ...waitsOf(answered),
    cpuShare: Number(((last.cpuMs - begun.cpuMs) / passedMs).toFixed(2)),
    restMiB: rest.residentMiB,
    residentMaxMiB,
    backups: await backups,
  });
}

/** Says it, and returns it. */
function told<Measured extends object>(measured: Measured): Measured {
  process.stdout.write(`${JSON.stringify(measured)}\n`);
  return measured;
}

spawnSync('npm', ['run', 'build'], { cwd: resolve(import.meta.dirname, '..'), stdio: 'ignore' });
record({ bench: 'api', clients: clientsCount, seconds, atOnce: await throughput(), inLife: await inLife() });
