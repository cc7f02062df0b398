// Many simulated histories: `npm run soak -- --count 2000 --seed 1`, or `--what postgres-faults --count 40`. Prints each violation with
// its seed, and a summary.
import { randomBytes } from 'node:crypto';
import { parseArgs } from 'node:util';
import { startPostgres } from '../support/postgres-server.ts';
import { startS3Server } from '../support/s3-server.ts';
import { makePostgresCatalog, makeSqliteCatalog } from '../support/catalogs.ts';
import { installTools } from '../support/tools.ts';
import { runDurableRuns } from './durable-runs.ts';
import { noCounts, runHistory } from './history.ts';
import { killServers } from './killed-servers.ts';
import { runFaults } from './postgres-faults.ts';
import { runDisaster } from './postgres-recovery.ts';

const { values } = parseArgs({
  options: {
    what: { type: 'string' },
    count: { type: 'string' },
    seed: { type: 'string' },
    /** Of PostgreSQL; one after another. */
    versions: { type: 'string' },
    /** Of servers: `sqlite`, `postgres`; one after another. */
    catalogs: { type: 'string' },
    /** Random instants in each history with PostgreSQL. */
    recoveries: { type: 'string' },
    /** Other programs keep the machine busy: how much is lost at the end is only told. */
    busy: { type: 'boolean' },
  },
});

type Counts = Readonly<Record<string, number>>;

interface Soak {
  readonly countDefault: number;
  /** Between two lines that tell how far it is. */
  readonly tellEvery: number;
  run(seed: number, number: number): Promise<Counts>;
}

const versions = (values.versions ?? '15,14,16,17,18').split(',').map(Number);
const versionOf = (number: number): number => versions[number % versions.length] ?? 15;
const tell = (line: string): void => console.error(line);

const soaks: Readonly<Record<string, Soak>> = {
  repositories: {
    countDefault: 2000,
    tellEvery: 100,
    run: async (seed) => ({ ...noCounts(), ...(await runHistory(seed)) }),
  },
  /** The repository of version 18 lies in a bucket. */
  'postgres-recoveries': {
    countDefault: versions.length,
    tellEvery: 1,
    async run(seed, number) {
      const major = versionOf(number);
      await using s3 = major === 18 ? await startS3Server() : undefined;
      const recoveries = Number(values.recoveries ?? 50);
      const isLossTimed = values.busy !== true;
      return { ...(await runDisaster({ major, seed, recoveries, goesOn: true, isLossTimed, s3, tell })) };
    },
  },
  'postgres-faults': {
    countDefault: 40,
    tellEvery: 1,
    async run(seed, number) {
      const recoveries = Number(values.recoveries ?? 2);
      return { ...(await runFaults({ major: versionOf(number), seed, count: 6, recoveries, tell })) };
    },
  },
  /** Of the service: on SQLite one worker, on PostgreSQL three, in turn. */
  runs: {
    countDefault: 12,
    tellEvery: 1,
    async run(seed, number) {
      await using server = number % 2 === 0 ? undefined : await startPostgres(15);
      await using place = server === undefined ? await makeSqliteCatalog() : await makePostgresCatalog(server);
      return { ...(await runDurableRuns({ place, seed, kills: 30, workers: server === undefined ? 1 : 3 })) };
    },
  },
  /** Whole servers with real jobs: on SQLite one; on PostgreSQL a server and two workers, or three servers. */
  servers: {
    countDefault: 30,
    tellEvery: 1,
    async run(seed, number) {
      const catalogs = (values.catalogs ?? 'sqlite,postgres').split(',');
      const isAlone = catalogs[number % catalogs.length] === 'sqlite';
      await using server = isAlone ? undefined : await startPostgres(15);
      await using place = server === undefined ? undefined : await makePostgresCatalog(server);
      const several =
        seed % 2 === 0 ? (['server', 'worker', 'worker'] as const) : (['server', 'server', 'server'] as const);
      const processes = isAlone ? (['server'] as const) : several;
      return { ...(await killServers({ seed, kills: 12, place, processes, isWhole: true })) };
    },
  },
};

const what = values.what ?? 'repositories';
const soak = soaks[what];
if (soak === undefined) throw new Error(`--what ${what}: expected one of ${Object.keys(soaks).join(', ')}`);
const count = Number(values.count ?? soak.countDefault);
const first = values.seed === undefined ? randomBytes(4).readUInt32LE() : Number(values.seed);
const total = new Map<string, number>();
let violations = 0;
const startedMs = performance.now();
installTools();
for (let number = 0; number < count; number += 1) {
  try {
    const counts = await soak.run(first + number, number);
    for (const [name, value] of Object.entries(counts)) {
      const before = total.get(name) ?? 0;
      total.set(name, name.endsWith('Max') ? Math.max(before, value) : before + value);
    }
  } catch (error) {
    violations += 1;
    console.error(error instanceof Error ? error.message : error);
  }
  if ((number + 1) % soak.tellEvery === 0) console.error(`${number + 1} histories, ${violations} violations`);
}
const seconds = Math.round((performance.now() - startedMs) / 1000);
const summary = [...total].map(([name, value]) => `${Math.round(value)} ${name}`).join(', ');
console.log(`${count} histories of ${what} from seed ${first} in ${seconds} s: ${violations} violations; ${summary}`);
process.exitCode = violations === 0 ? 0 : 1;
