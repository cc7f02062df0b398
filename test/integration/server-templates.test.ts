// One server for two customers of one template: it follows the template, hands it to its jobs as it is in force, and takes it along to an
// empty machine.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { RunsListData } from '../../src/cli/commands/runs-list.ts';
import type { ServiceRecoverData } from '../../src/cli/commands/service-recover.ts';
import { runLifeboat } from '../support/lifeboat.ts';
import { eventually, startServerProcess, type ServerProcess } from '../support/server-process.ts';
import { temporaryFolder, type TemporaryFolder } from '../support/temporary-folder.ts';

const template = (components = ''): string => `application: lecture-\${CUSTOMER}
parameters: { FOLDER: '\${CUSTOMER}' }
repositories: { local: { location: '../../repositories/\${CUSTOMER}' } }
policies: { asked: { schedule: { before: deployment } } }
components:
  storage: { type: files, paths: ['../\${FOLDER}'], policy: asked }
${components}`;

const customers = ['acme', 'globex'];

describe('a server of two customers', () => {
  let home: TemporaryFolder;
  const at = (...names: string[]): string => join(home.path, ...names);
  let token = '';
  const files = customers.map((customer) => `customers/${customer}.yaml`);

  beforeAll(async () => {
    home = await temporaryFolder();
    mkdirSync(at('old', 'customers'), { recursive: true });
    mkdirSync(at('new'));
    writeFileSync(at('old', 'template.yaml'), template());
    for (const customer of customers) {
      mkdirSync(at('old', customer));
      writeFileSync(at('old', customer, 'file'), customer);
      writeFileSync(
        at('old', 'customers', `${customer}.yaml`),
        `extends: ../template.yaml\nparameters: { CUSTOMER: ${customer} }\n`,
      );
      await lifeboat('repository', 'init', '--config', `customers/${customer}.yaml`);
    }
    ({ token } = JSON.parse(await lifeboat('token', 'create', 'test', '--role', 'operator')) as { token: string });
  });
  afterAll(() => home[Symbol.asyncDispose]());

  async function lifeboat(...args: string[]): Promise<string> {
    const { exitCode, stdout, stderr } = await runLifeboat([...args, '--json'], { folder: at('old') });
    expect([exitCode, stderr]).toEqual([0, '']);
    return stdout;
  }

  const countOf = (server: ServerProcess, words: RegExp): number => [...server.said().matchAll(words)].length;

  async function ask(server: ServerProcess, job: string, customer: string): Promise<void> {
    const address = /answers at (http:\S+)/.exec(server.said())?.[1] ?? '';
    const words = new RegExp(`lecture-${customer}: ${job} succeeded`, 'g');
    const before = countOf(server, words);
    const { status } = await fetch(`${address}/api/v1/runs`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify({ application: `lecture-${customer}`, job }),
    });
    expect(status).toBe(202);
    await eventually(() => countOf(server, words) > before);
  }

  test('goes by their template, follows it, and comes back with it', { timeout: 120_000 }, async () => {
    {
      await using server = await startServerProcess(at('old'), ...files);
      // What is wrong is told once for each, with the place, and changes nothing: not for jobs either.
      writeFileSync(at('old', 'template.yaml'), 'application: lecture-${CUSTOMER}\npolices: {}\n');
      await eventually(() => countOf(server, /template\.yaml:2:1: unknown key 'polices'/g) === 2);
      await ask(server, 'backup/storage', 'acme');
      const more = "  more: { type: files, paths: ['../${FOLDER}'], policy: asked }\n";
      writeFileSync(at('old', 'template.yaml'), template(more));
      await eventually(() => countOf(server, /\.yaml was read again: lecture-\w+ is configured anew/g) === 2);
      await ask(server, 'backup/more', 'globex');
      await eventually(() => countOf(server, /lecture-acme: self-backup\/local succeeded/g) === 2);
      const listed = await lifeboat('runs', 'list', '--application', 'lecture-globex');
      expect((JSON.parse(listed) as RunsListData).runs.map(({ job }) => job)).toEqual(['backup/more']);
      const created = await lifeboat('token', 'create', 'x', '--application', 'lecture-acme', '--application', 'acmee');
      expect(JSON.parse(created)).toMatchObject({ unseen: ['acmee'] });
      const all = await lifeboat('alerts', 'list', '--all');
      expect(JSON.parse(all)).toMatchObject({ applications: ['lecture-acme', 'lecture-globex'] });
      expect(server.said()).not.toMatch(/ failed|are one repository|are the same data/);
      expect(countOf(server, /warning: the state of the server, .* goes into lecture-acme\/local/g)).toBe(1);
      server.child.kill('SIGTERM');
      expect(await server.exited).toBe(0);
    }
    const repository = at('repositories', 'acme');
    const ran = await runLifeboat(['service', 'recover', '-r', repository, '--json'], { folder: at('new') });
    expect([ran.exitCode, ran.stderr]).toEqual([0, '']);
    const { decision, missing } = JSON.parse(ran.stdout) as ServiceRecoverData;
    expect(missing).toEqual([]);
    expect(decision.manifest.configurations.map(({ application }) => application)).toEqual([
      'lecture-acme',
      'lecture-globex',
    ]);
    for (const name of ['template.yaml', ...files])
      expect(readFileSync(at('new', name), 'utf8')).toBe(readFileSync(at('old', name), 'utf8'));
    await using server = await startServerProcess(at('new'), ...files);
    expect(server.said()).toContain('answers at');
  });
});
