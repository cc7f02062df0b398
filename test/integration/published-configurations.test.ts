// Workers on machines without a lifeboat.yaml: they learn from servers what to do, follow what changes, and are told no secrets.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  publishConfiguration,
  publishedConfigurations,
  withdrawConfiguration,
} from '../../src/catalog/published-configurations.ts';
import { findRun, type RunRow } from '../../src/catalog/runs.ts';
import { withoutComments } from '../../src/config/uncommented.ts';
import { writtenSecretsOf } from '../../src/config/written-secrets.ts';
import type { Application } from '../../src/model/application.ts';
import { PublishedTenants } from '../../src/service/published-tenants.ts';
import { Publisher } from '../../src/service/publisher.ts';
import type { Tenant } from '../../src/service/tenant.ts';
import { describeWithCatalogs, makePostgresCatalog, openTestCatalog, type TestCatalog } from '../support/catalogs.ts';
import { runHere, runLifeboat } from '../support/lifeboat.ts';
import { describeWithPostgres, startPostgres, type TestServer } from '../support/postgres-server.ts';
import { eventually, startServerWith, startWorkerWith } from '../support/server-process.ts';
import { temporaryFolder, type TemporaryFolder } from '../support/temporary-folder.ts';

const template = (more = ''): string => `application: \${NAME}
repositories: { local: { location: 'backups' } }
policies: { asked: { schedule: { before: deployment } } }
components:
  uploads: { type: files, paths: [data], policy: asked, labels: [host=web-1] }
  database: { type: postgres, url: '\${OWN_DATABASE}', journal: {}, policy: asked }
${more}`;

describeWithPostgres(15, 'workers without files of their own', () => {
  let postgres: TestServer;
  let home: TemporaryFolder;
  let catalog: TestCatalog;
  let environment: Record<string, string>;
  const at = (...names: string[]): string => join(home.path, ...names);
  const place = (name: string) => ({ folder: at(name), environment });

  beforeAll(async () => {
    postgres = await startPostgres(15);
    catalog = await makePostgresCatalog(postgres);
    home = await temporaryFolder();
    environment = { LIFEBOAT_DATABASE_URL: catalog.location.url ?? '' };
    mkdirSync(at('elsewhere'));
    for (const name of ['shop', 'crm']) {
      mkdirSync(at(name, 'data'), { recursive: true });
      writeFileSync(at(name, 'data', 'file'), name);
      writeFileSync(at(name, 'template.yaml'), template());
      writeFileSync(at(name, 'lifeboat.yaml'), `extends: template.yaml\nparameters: { NAME: ${name} }\n`);
      await lifeboat(name, 'repository', 'init');
    }
  });
  afterAll(async () => {
    await home[Symbol.asyncDispose]();
    await catalog[Symbol.asyncDispose]();
    await postgres[Symbol.asyncDispose]();
  });

  async function lifeboat(folder: string, ...args: string[]): Promise<string> {
    const { exitCode, stdout, stderr } = await runLifeboat([...args, '--json'], { folder: at(folder), environment });
    expect([exitCode, stderr]).toEqual([0, '']);
    return stdout;
  }

  async function begin(name: string, job: string): Promise<string> {
    const { runs } = JSON.parse(await lifeboat(name, 'runs', 'start', job)) as { runs: { id: string }[] };
    return runs[0]?.id ?? '';
  }

  async function runOf(id: string): Promise<RunRow | undefined> {
    await using opened = await openTestCatalog(catalog);
    return await findRun(opened, id);
  }

  const stateOf = async (id: string): Promise<string | undefined> => (await runOf(id))?.state;

  test('they work for all servers, by what each has in force', { timeout: 240_000 }, async () => {
    await using worker = await startWorkerWith(place('elsewhere'), '--label', 'host=web-1');
    expect(worker.said()).toContain('no server has published a configuration yet');
    // Not for a worker that knows nothing of its application.
    const early = await begin('shop', 'backup/uploads');
    await sleep(2500);
    expect(await stateOf(early)).toBe('queued');
    // Only servers can reach it: a worker without the password leaves it to them.
    const reaching = (name: string) => {
      const { folder } = place(name);
      return { folder, environment: { ...environment, OWN_DATABASE: 'postgres://postgres@127.0.0.1:1/own' } };
    };
    await using crm = await startServerWith(reaching('crm'));
    {
      await using shop = await startServerWith(reaching('shop'));
      await eventually(() => /shop is configured as the server on \S+ has it, version 1/.test(worker.said()));
      await eventually(() => /crm is configured .* version 1/.test(worker.said()));
      for (const name of ['shop', 'crm']) {
        const run = name === 'shop' ? early : await begin(name, 'backup/uploads');
        await eventually(async () => (await stateOf(run)) === 'succeeded');
        expect(worker.said()).toContain(`${name}: backup/uploads succeeded`);
        expect(await lifeboat(name, 'ls', 'latest')).toContain('data/file');
      }
      expect(worker.said()).toContain("journal/shop/database: left to others, since it can't be reached from here");
      const unreached = await begin('shop', 'backup/database');
      await eventually(async () => (await runOf(unreached))?.attempt === 1);
      expect((await runOf(unreached))?.error).toContain('SOURCE_UNREACHABLE');
      // No worker carries the key of the audit log, nor the files.
      await eventually(() => shop.said().includes('shop: self-backup/local succeeded'));
      expect(worker.said()).not.toContain('self-backup');
      writeFileSync(
        at('shop', 'template.yaml'),
        template('  more: { type: files, paths: [data], labels: [host=web-1] }'),
      );
      // Asked for before the worker has heard of it.
      await begin('shop', 'backup/more');
      await eventually(() => worker.said().includes('shop: backup/more succeeded'));
      expect(worker.said()).toMatch(/shop is configured .* version 2/);
      // What names a secret stays with the server; the worker goes on with what it knows.
      writeFileSync(at('shop', 'lifeboat.yaml'), written);
      await eventually(() => shop.said().includes('a secret stands as it is at repositories.other.password'));
      shop.child.kill('SIGTERM');
      expect(await shop.exited).toBe(0);
    }
    expect(worker.said()).not.toContain('version 3');
    await using later = await startServerWith(reaching('shop'), at('crm', 'lifeboat.yaml'));
    await eventually(() => worker.said().includes('no server protects shop any more'));
    // Whichever of those on this machine looked first.
    await eventually(() => /shop is not protected from here any more/.test(`${crm.said()}${later.said()}`));
    expect(worker.said()).not.toContain('no server protects crm');
    // What nobody protects any more is for anybody to end.
    const late = await begin('shop', 'verification/local/structure');
    await eventually(async () => (await stateOf(late)) === 'failed');
    expect(worker.said()).not.toContain('warning');
  });
});

test('no worker carries the label of servers', async () => {
  await using home = await temporaryFolder();
  const environment = { LIFEBOAT_DATABASE_URL: 'postgres://nobody@127.0.0.1:1/none' };
  const ran = await runHere(['worker', '--label', 'lifeboat=server'], { folder: home.path, environment });
  expect(ran).toMatchObject({
    exitCode: 2,
    stderr: expect.stringContaining('lifeboat=server is the label of servers'),
  });
});

describeWithCatalogs('published configurations', (make) => {
  test('go up with what they say, and never share a place', async () => {
    await using place = await make();
    await using catalog = await openTestCatalog(place);
    const publish = (application: string, text: string, worker = 'one'): Promise<void> => {
      const file = { application, path: '/etc/lifeboat.yaml', text, templatePath: null, templateText: null };
      return publishConfiguration(catalog, { ...file, host: 'here', worker });
    };
    await publish('shop', 'first');
    await publish('shop', 'first', 'two');
    await publish('crm', 'other');
    await publish('shop', 'second', 'two');
    const published = await publishedConfigurations(catalog);
    expect(published).toMatchObject([
      { application: 'crm', version: 1, text: 'other', worker: 'one' },
      { application: 'shop', version: 2, text: 'second', worker: 'two' },
    ]);
    const loaded: string[] = [];
    await using tenants = await PublishedTenants.open({
      catalog,
      load: (path, texts) => {
        loaded.push(path);
        const text = texts.get(path);
        const application = { name: text === 'other' ? 'crm' : 'shop' } as Application;
        return Promise.resolve({ application, configurationPath: path, text } as Tenant);
      },
      onNote: () => undefined,
      onProblem: (error) => expect.fail(error.message),
    });
    expect(loaded).toEqual(['/etc/lifeboat.yaml', '/etc/shop@here.yaml']);
    expect(tenants.textsOf(['prove', '/etc/shop@here.yaml'])).toEqual({ '/etc/shop@here.yaml': 'second' });
    expect(tenants.find('crm')?.text).toBe('other');
    await withdrawConfiguration(catalog, { application: 'shop', worker: 'one' });
    expect(await publishedConfigurations(catalog)).toEqual(published);
    await withdrawConfiguration(catalog, { application: 'shop', worker: 'two' });
    expect(await publishedConfigurations(catalog)).toEqual(published.slice(0, 1));
  });

  test(
    'those who come later leave the others theirs; what is another here, or lacks something, is told, and tried again',
    { timeout: 40_000 },
    async () => {
      await using place = await make();
      await using catalog = await openTestCatalog(place);
      const publish = (application: string, text: string): Promise<void> => {
        const file = { application, path: '/etc/lifeboat.yaml', text, templatePath: null, templateText: null };
        return publishConfiguration(catalog, { ...file, host: 'here', worker: 'one' });
      };
      await publish('shop', 'shop');
      await publish('late', 'late');
      await publish('other', 'another');
      await publish('kept', '');
      const said: string[] = [];
      let lacks = true;
      await using tenants = await PublishedTenants.open({
        catalog,
        load: (path, texts) => {
          const text = texts.get(path) ?? '';
          if (text === 'late' && lacks) return Promise.reject(new Error('a file is missing'));
          return Promise.resolve({
            application: { name: text } as Application,
            configurationPath: path,
            text,
          } as Tenant);
        },
        onNote: (note) => said.push(note),
        onProblem: ({ message }) => said.push(message),
      });
      expect(said.slice(0, 3)).toEqual([
        expect.stringMatching(/^kept is not handed out by the server on here, .* 'lifeboat worker kept.yaml'$/),
        "late can't be worked for here: a file is missing",
        "other can't be worked for here: its file is one of another with the variables of this machine",
      ]);
      await publish('crm', 'crm');
      await eventually(() => tenants.find('crm') !== undefined);
      expect(tenants.find('other')).toBeUndefined();
      const paths = tenants.all.map(({ configurationPath }) => configurationPath);
      expect(new Set(paths)).toEqual(new Set(['/etc/crm@here.yaml', '/etc/lifeboat.yaml']));
      // By the path of each its own text goes to a job.
      expect(Object.values(tenants.textsOf([tenants.find('shop')?.configurationPath ?? '']))).toEqual(['shop']);
      // Its first version once more, of another text.
      await withdrawConfiguration(catalog, { application: 'crm', worker: 'one' });
      lacks = false;
      await publish('crm', 'crm');
      await eventually(() => tenants.find('late') !== undefined);
      expect(said.filter((one) => one.startsWith('crm is configured'))).toHaveLength(2);
      expect(said.filter((one) => one.includes('missing'))).toHaveLength(1);
    },
  );

  test(
    'a server hands out again what another has withdrawn, takes back what it names no more, and tells no comments',
    { timeout: 40_000 },
    async () => {
      await using place = await make();
      await using catalog = await openTestCatalog(place);
      const said: string[] = [];
      const tenant = {
        application: { name: 'shop' } as Application,
        configurationPath: '/etc/lifeboat.yaml',
        text: 'a: b # c',
      };
      await using _ = new Publisher({
        catalog,
        tenants: () => [tenant as Tenant],
        texts: { secretsOf: writtenSecretsOf, withoutComments },
        host: 'here',
        worker: 'one',
        onNote: (note) => said.push(note),
        onProblem: (error) => expect.fail(error.message),
      });
      const texts = async () => (await publishedConfigurations(catalog)).map(({ text }) => text);
      await eventually(async () => (await texts()).length === 1);
      await publishConfiguration(catalog, {
        application: 'shop',
        path: '/srv/lifeboat.yaml',
        text: 'another',
        templatePath: null,
        templateText: null,
        host: 'there',
        worker: 'two',
      });
      await withdrawConfiguration(catalog, { application: 'shop', worker: 'two' });
      await eventually(async () => (await texts()).length === 1);
      expect(await texts()).toEqual(['a: b ']);
      expect(said).toEqual([]);
      // Its file says another name.
      tenant.application = { name: 'store' } as Application;
      await eventually(() => said.length > 0);
      const left = await publishedConfigurations(catalog);
      expect(left.map(({ application }) => application)).toEqual(['store']);
      expect(said).toEqual(['shop is not protected from here any more; workers are told']);
    },
  );
});

const written = `extends: template.yaml
parameters: { NAME: shop }
repositories: { other: { location: other, password: hunter2 } }
`;
