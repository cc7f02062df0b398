// AIgentable's secrets are encrypted in memory, on their way into the repository: planted ones are looked for in every file
// written, every object sent, every argument of a process and every line printed.
import { GetObjectCommand, ListObjectsV2Command } from '@aws-sdk/client-s3';
import { chmodSync, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { childProcesses } from '../support/child-processes.ts';
import { postgresMajor, secrets, startExample, type ExampleApplication } from '../support/example-application.ts';
import { describeWithPostgres } from '../support/postgres-server.ts';
import { describeWithS3 } from '../support/s3-server.ts';
import { describeWith, findTool } from '../support/tools.ts';

const planted = {
  row: 'planted-row-value',
  key: 'planted-cache-value',
  variable: 'planted-api-key',
  file: 'planted-document',
};
const programs = ['pg_dump', 'pg_dumpall', 'pg_restore'] as const;

let platform: ExampleApplication;
let credentials: readonly string[] = [];
let everything: readonly string[] = [];

/** Files below a folder, without the data of servers that run there for a proof. */
function filesBelow(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return /^lifeboat-(?:postgres|redis)-/.test(entry.name) ? [] : filesBelow(path);
    return entry.isFile() ? [path] : [];
  });
}

const foundIn = (content: string | Buffer, words: readonly string[]) => words.filter((word) => content.includes(word));

/** Files may vanish between the listing and the look. */
function leaksOnDisk(words: readonly string[]): string[] {
  const folders = ['tmp', 'home', 'backups'].map((name) => join(platform.root, name));
  return folders.flatMap(filesBelow).flatMap((path) => {
    try {
      return foundIn(readFileSync(path), words).map((word) => `${path}: ${word}`);
    } catch {
      return [];
    }
  });
}

/** Runs the program and looks, as often as can be, at all its processes and files meanwhile. */
async function watched(words: readonly string[], ...args: string[]) {
  const leaks = new Set<string>();
  let processesSeen = 0;
  const ended = new AbortController();
  const run = platform.run(args).finally(() => ended.abort());
  const watch = (async () => {
    while (!ended.signal.aborted) {
      const children = childProcesses('');
      processesSeen += children.filter((child) => child.arguments.some((part) => part.endsWith('lifeboat.js'))).length;
      const shown = children.flatMap((child) => foundIn(child.arguments.join(' '), everything));
      for (const leak of [...shown, ...leaksOnDisk(words)]) leaks.add(leak);
      await sleep(5);
    }
  })();
  const [ran] = await Promise.all([run, watch]);
  for (const leak of foundIn(ran.stdout + ran.stderr, everything)) leaks.add(`printed: ${leak}`);
  return { ...ran, leaks: [...leaks], processesSeen };
}

function define(): void {
  beforeAll(async () => {
    platform = await startExample({ name: 'aigentable', database: 'aigentable' });
    const { environment, postgres, redis, folder, root } = platform;
    credentials = [...Object.values(secrets), postgres.address.password ?? ''];
    everything = [...credentials, ...Object.values(planted)];
    environment['APP_FOLDER'] = join(folder, 'app');
    environment['BACKUP_FOLDER'] = join(root, 'backups');
    writeFileSync(join(folder, 'app/.env'), `API_KEY=${planted.variable}\n`, { mode: 0o600 });
    writeFileSync(join(folder, 'app/documents/secret.md'), planted.file);
    await postgres.sql('aigentable', `INSERT INTO agents (name, settings) VALUES ('${planted.row}', '{}')`);
    await redis.connection.call('SET', 'token', planted.key);
    // What PostgreSQL's own programs are started with, written down by the way.
    for (const name of programs) {
      const real = findTool('pg_dump')?.replace(/pg_dump$/, name) ?? name;
      const path = join(root, 'bin', name);
      writeFileSync(path, `#!/bin/sh\necho "${name} $*" >> '${root}/arguments'\nexec '${real}' "$@"\n`);
      chmodSync(path, 0o755);
    }
    for (const args of [['local'], ['offsite', '--from', 'local', '--create-bucket']])
      await platform.succeed('repository', 'init', '--repository', ...args);
    await platform.cheapenKeys();
  });
  afterAll(() => platform[Symbol.asyncDispose]());

  test('SF-22 backups to disk and S3 leave no secret in clear: in no file, argument or line', async () => {
    const ran = await watched(everything, 'backup', '--verbose');
    expect(ran).toMatchObject({ exitCode: 0, leaks: [] });
    expect(ran.processesSeen).toBeGreaterThan(0);
    const used = readFileSync(join(platform.root, 'arguments'), 'utf8');
    expect(used).toContain('pg_dump --');
    expect(foundIn(used, everything)).toEqual([]);
    expect(leaksOnDisk(everything)).toEqual([]);
  });

  test('S2-010 SF-22 no object in the bucket holds one, though all of them come back from it', async () => {
    const client = platform.s3.inspector();
    const Bucket = 'aigentable-backups';
    const { Contents = [] } = await client.send(new ListObjectsV2Command({ Bucket }));
    expect(Contents.length).toBeGreaterThan(10);
    for (const { Key } of Contents) {
      const { Body } = await client.send(new GetObjectCommand({ Bucket, Key }));
      const content = Buffer.from((await Body?.transformToByteArray()) ?? []);
      expect({ Key, leaks: foundIn(content, everything) }).toEqual({ Key, leaks: [] });
    }
    client.destroy();
    const path = join(platform.folder, 'app/.env');
    const dumped = await platform.succeed(
      'dump',
      'latest',
      path,
      '--component',
      'configuration',
      '--repository',
      'offsite',
    );
    expect(dumped.stdout).toBe(`API_KEY=${planted.variable}\n`);
  });

  test('SF-22 facts that travel with a backup of the configuration name variables and hold no value', async () => {
    const { stdout } = await platform.succeed(
      'dump',
      'latest',
      '/.lifeboat/facts.json',
      '--component',
      'configuration',
      '--repository',
      'local',
    );
    expect(stdout).toContain('API_KEY');
    expect(foundIn(stdout, everything)).toEqual([]);
  });

  test('SF-22 a restore, a proof and errors keep credentials out of files, arguments and lines, and a proof leaves nothing behind', async () => {
    const restored = await watched(
      everything,
      'restore',
      'database',
      '--to',
      'aigentable_new',
      '--repository',
      'local',
      '--verbose',
    );
    expect(restored).toMatchObject({ exitCode: 0, leaks: [] });
    const proven = await watched(credentials, 'prove', '--repository', 'local', '--verbose');
    expect(proven).toMatchObject({ exitCode: 0, leaks: [] });
    expect(leaksOnDisk(everything)).toEqual([]);
    expect(readdirSync(join(platform.root, 'tmp')).filter((name) => name.startsWith('lifeboat-'))).toEqual([]);
    platform.environment['POSTGRES_PORT'] = '1';
    platform.environment['REDIS_PORT'] = '1';
    const failed = await watched(everything, 'backup', 'database', 'cache', '--verbose');
    expect(failed).toMatchObject({ exitCode: 1, leaks: [] });
    const told = await watched(everything, 'doctor', '--verbose');
    expect(told).toMatchObject({ exitCode: 1, leaks: [] });
    const used = readFileSync(join(platform.root, 'arguments'), 'utf8');
    expect(used).toContain('pg_restore --');
    expect(foundIn(used, everything)).toEqual([]);
  });
}

await describeWithS3("AIgentable's secrets", () =>
  describeWith(['redis-server', 'pg_dump'], 'with Redis', () =>
    describeWithPostgres(postgresMajor, 'with PostgreSQL', define),
  ),
);
