// What commands say of others in the same places: whose a backup is, who else backs up there, and where the state of the server lies.
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { CheckData } from '../../src/cli/commands/check.ts';
import { systemClock } from '../../src/base/clock.ts';
import { openCatalog } from '../../src/catalog/open-catalog.ts';
import { saveSelfBackup } from '../../src/catalog/service-self.ts';
import { neverRestored, saveStandings } from '../../src/catalog/standings.ts';
import { runHere, type Ran } from '../support/lifeboat.ts';
import { createRepository, testPassword } from '../support/repository.ts';
import { temporaryFolder, type TemporaryFolder } from '../support/temporary-folder.ts';

let folder: TemporaryFolder;
const applications = ['shop', 'blog', 'forum'];
const yaml = (application: string, more = ''): string => `application: ${application}
repositories: { near: { location: ./near/repository, passwordFile: ./password }${more} }
components: { uploads: { type: files, paths: [./${application}] } }
`;

beforeAll(async () => {
  folder = await temporaryFolder();
  await createRepository(join(folder.path, 'near'));
  await writeFile(join(folder.path, 'password'), testPassword, { mode: 0o600 });
  for (const application of applications) {
    await mkdir(join(folder.path, application));
    await writeFile(join(folder.path, application, 'page.txt'), application);
    await writeFile(join(folder.path, `${application}.yaml`), yaml(application));
  }
  expect((await lifeboat('shop', 'backup')).exitCode).toBe(0);
});
afterAll(() => folder[Symbol.asyncDispose]());

function lifeboat(application: string, ...args: string[]): Promise<Ran> {
  const environment = { LIFEBOAT_PASSWORD: '' };
  return runHere([...args, '--config', `${application}.yaml`], { folder: folder.path, environment });
}

/** Aspect and message of what check warns of. */
async function warnings(application: string): Promise<string[]> {
  const { stdout } = await lifeboat(application, 'check', '--json');
  const { subjects } = JSON.parse(stdout) as CheckData;
  const found = subjects
    .filter(({ subject }) => subject !== 'objectives')
    .flatMap(({ findings }) => findings.filter(({ outcome }) => outcome === 'warning'));
  return found.map(({ aspect, message }) => `${aspect}: ${message}`);
}

test('an application alone in its repository hears of nobody; of two, check names the other', async () => {
  expect(await warnings('shop')).toEqual([]);
  expect((await lifeboat('shop', 'find', 'page.txt')).stdout).toContain(' of uploads from');
  expect((await lifeboat('blog', 'backup')).exitCode).toBe(0);
  const words = 'back up into it as well: whoever has its password can read the backups of all';
  expect(await warnings('shop')).toEqual([`neighbours: blog ${words}`]);
  expect(await warnings('forum')).toEqual([`neighbours: blog, shop ${words}`]);
});

test('find and snapshots say whose each is as soon as one is not of this application', async () => {
  const found = await lifeboat('shop', 'find', 'page.txt');
  expect(found.stdout).toContain(' of shop/uploads from');
  expect(found.stdout).toContain(' of blog/uploads from');
  const own = await lifeboat('shop', 'find', 'page.txt', '--host', 'shop');
  expect(own.stdout).toContain(' of uploads from');
  expect(own.stdout).not.toContain('blog');
  const others = await lifeboat('shop', 'find', 'page.txt', '--host', 'blog');
  expect(others.stdout).toContain(' of blog/uploads from');
  const listed = await lifeboat('shop', 'snapshots', '--host', 'blog');
  expect(listed.stdout).toMatch(/^ID +Time +Of +Component/);
  expect((await lifeboat('shop', 'snapshots', '--host', 'shop')).stdout).toMatch(/^ID +Time +Component/);
});

test('two names of one place are told by check, and a command that changes something says how to choose', async () => {
  const twice = ', far: { location: ./near/repository/, passwordFile: ./password }';
  await writeFile(join(folder.path, 'twice.yaml'), yaml('twice', twice));
  expect(await warnings('twice')).toContain(
    `shared place: near and far are one place: ${join(folder.path, 'near/repository')}`,
  );
  expect(await lifeboat('twice', 'tag', 'latest', '--add', 'x')).toMatchObject({
    exitCode: 2,
    stderr: expect.stringMatching(/there are several repositories: near, far[^]*-r near/) as string,
  });
});

test('where the state of a server of several lies is told by check, until its file says so', async () => {
  const before = await warnings('shop');
  {
    const path = join(folder.path, '.local/state/lifeboat/catalog.sqlite');
    await mkdir(join(path, '..'), { recursive: true });
    await using catalog = await openCatalog({ path, url: undefined }, systemClock);
    const standing = { standing: 'protected', reason: '', hint: null, ageMs: 1, rpoMs: null, seenAtMs: 1 };
    for (const application of ['shop', 'blog']) {
      const row = { application, component: 'uploads', ...standing, ...neverRestored };
      await saveStandings(catalog, application, [row]);
    }
    await saveSelfBackup(catalog, { application: 'shop', repository: 'near', version: '1', snapshot: 'a'.repeat(64) });
  }
  const added = (await warnings('shop')).filter((line) => !before.includes(line));
  expect(added).toEqual([expect.stringMatching(/^state of the server: .* 2 applications, goes into shop\/near/)]);
  expect((await warnings('blog')).join()).not.toContain('state of the server');
  await writeFile(join(folder.path, 'shop.yaml'), `${yaml('shop')}service: { selfBackup: { repositories: [near] } }\n`);
  expect(await warnings('shop')).toEqual(before);
});
