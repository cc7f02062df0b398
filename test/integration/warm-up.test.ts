// Caches are filled again by requests and programs, one after the other; what fails is said and stops nothing else.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { openCatalog } from '../../src/catalog/open-catalog.ts';
import { findRun, insertRun } from '../../src/catalog/runs.ts';
import { runOfWarmUp } from '../../src/service/warm-up-runs.ts';
import { webReceiver, type WebReceiver } from '../support/alert-receivers.ts';
import { runHere, type Ran } from '../support/lifeboat.ts';
import { eventually, startServerProcess } from '../support/server-process.ts';
import { temporaryFolder, type TemporaryFolder } from '../support/temporary-folder.ts';

const token = 'planted-token-of-the-shop';

describe('warm-up', () => {
  let folder: TemporaryFolder;
  let web: WebReceiver;
  beforeAll(async () => {
    folder = await temporaryFolder();
    web = await webReceiver(undefined, (response, { path }) => {
      response.writeHead(path.startsWith('/broken') ? 500 : 202).end('filled');
    });
    writeFileSync(join(folder.path, 'fill'), '#!/bin/sh\necho "$1 of $KIND"\nexit "$2"\n', { mode: 0o755 });
  });
  afterAll(async () => {
    await web[Symbol.asyncDispose]();
    await folder[Symbol.asyncDispose]();
  });

  async function warmUp(steps: string, ...args: string[]): Promise<Ran> {
    const head =
      "application: shop\nrepositories: { local: { location: r } }\ncomponents: { f: { type: files, paths: ['.'] } }\n";
    writeFileSync(join(folder.path, 'lifeboat.yaml'), `${head}warmUp:\n${steps}`);
    return runHere(['warm-up', ...args], { folder: folder.path, environment: { WEB: web.url, TOKEN: token } });
  }

  const steps = `  pages: { type: http, url: '\${WEB}/warm?key=\${TOKEN}', headers: { authorization: 'Bearer \${TOKEN}' }, body: all }
  broken: { type: http, url: '\${WEB}/broken', method: PUT, status: [200, 202] }
  prices: { type: script, run: [./fill, '7 prices', '0'], environment: { KIND: shop } }
`;

  test('goes through all steps, and fails where one did', async () => {
    const { exitCode, stdout } = await warmUp(steps);
    expect(exitCode).toBe(1);
    expect(stdout).toMatch(/pages +done +\S+ m?s +status 202/);
    expect(stdout).toMatch(/broken +failed .*status 500, expected 200 or 202/);
    expect(stdout).toMatch(/prices +done .*7 prices of shop/);
    expect(stdout).not.toContain(token);
    expect(web.requests.map(({ method, path, body }) => [method, path, body])).toEqual([
      ['POST', `/warm?key=${token}`, 'all'],
      ['PUT', '/broken', ''],
    ]);
    expect(web.requests[0]?.headers.authorization).toBe(`Bearer ${token}`);
  });

  test('does what is named, in the order of the file, or only says what it would do', async () => {
    const before = web.requests.length;
    const { exitCode, stdout } = await warmUp(steps, 'prices', 'pages', '--json');
    const { steps: done } = JSON.parse(stdout) as { steps: { name: string; outcome: string }[] };
    expect([exitCode, done.map(({ name, outcome }) => `${name} ${outcome}`)]).toEqual([
      0,
      ['pages done', 'prices done'],
    ]);
    expect(web.requests).toHaveLength(before + 1);
    const planned = await warmUp(steps, '--dry-run');
    expect([planned.exitCode, web.requests.length]).toEqual([0, before + 1]);
    expect(planned.stdout).toMatch(/pages +planned .*POST http:\/\/127\.0\.0\.1:\d+\/warm\n/);
    expect(planned.stdout).toMatch(/prices +planned .*run .*\/fill/);
  });

  test.each([
    ['a program that can not be started', '  a: { type: script, run: [./missing] }\n', 1, /cannot run .*ENOENT/],
    ['a program that warns', "  a: { type: script, run: [./fill, few, '1'] }\n", 3, /warning .*few/],
    ['a step that is not set up', "  a: { type: http, url: 'http://127.0.0.1:1', body: '${UNSET}' }\n", 3, /left out/],
    ['a server that is away', "  a: { type: http, url: 'http://127.0.0.1:1/' }\n", 1, /failed/],
    [
      'a step that takes too long',
      "  a: { type: script, run: [sleep, '60'], timeout: 1s }\n",
      1,
      /no answer within 1 s/,
    ],
  ])('says so of %s', async (...[, own, code, words]) => {
    const { exitCode, stdout } = await warmUp(own);
    expect([exitCode, stdout]).toEqual([code, expect.stringMatching(words)]);
  });

  test('has not succeeded as a run where a step was left out', async () => {
    await warmUp("  a: { type: script, run: [./fill, all, '0'] }\n  b: { type: script, run: [./fill, '${UNSET}'] }\n");
    await using server = await startServerProcess(folder.path);
    const location = { path: join(folder.path, '.local/state/lifeboat/catalog.sqlite'), url: undefined };
    await using catalog = await openCatalog(location, systemClock);
    const run = runOfWarmUp({ application: 'shop', steps: [] }, { kind: 'request', by: 'test' });
    const id = await insertRun(catalog, run);
    await eventually(() => /shop: warm-up (?:failed|succeeded)/.test(server.said()));
    const { state, error } = (await findRun(catalog, id)) ?? {};
    expect([state, error]).toEqual(['failed', expect.stringMatching(/b: .*UNSET/)]);
  });

  test.each([
    ['no step at all', '  {}\n', [], 4, /says nothing of how to fill caches/],
    ['another name', steps, ['prizes'], 4, /no step 'prizes' .*pages, broken, prices/s],
    ['a key of a probe', "  a: { type: http, url: 'http://127.0.0.1:1/', every: 1s }\n", [], 2, /every/],
    ['another type', '  a: { type: sql, sql: SELECT 1, component: f }\n', [], 2, /http.*script/s],
  ])('refuses %s with a hint', async (...[, own, args, code, words]) => {
    const { exitCode, stderr } = await warmUp(own, ...args);
    expect([exitCode, stderr]).toEqual([code, expect.stringMatching(words)]);
    expect(stderr).toContain('hint: ');
  });
});
