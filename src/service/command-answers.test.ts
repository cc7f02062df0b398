// Looks that others have just had are shared, old ones and changed ones are not; too many at once are refused; none outlives its server.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { temporaryFolder, type TemporaryFolder } from '../../test/support/temporary-folder.ts';
import { parseConfiguration } from '../config/load.ts';
import { CommandAnswers } from './command-answers.ts';
import type { Tenant } from './tenant.ts';

let folder: TemporaryFolder;
let answers: CommandAnswers;

/** Notes that it was asked, waits if it is told to, and says what it was asked. */
const program = `
import { appendFileSync } from 'node:fs';
const args = process.argv.slice(2);
appendFileSync('asked', args.join(' ') + '\\n');
process.on('disconnect', () => process.exit(1));
if (args[0] === 'fail') process.exit(9);
if (args[0] === 'wait') setInterval(() => undefined, 1000);
else { console.log(JSON.stringify({ args })); process.disconnect(); }
`;

function tenantOf(name: string): Tenant {
  const environment = { variables: {}, workingFolder: '/srv', homeFolder: '/root' };
  const text = `application: ${name}\nrepositories: { local: { location: ./local } }\ncomponents: { files: { type: files, paths: [/srv] } }`;
  const parsed = parseConfiguration(text, { path: '/srv/lifeboat.yaml', environment });
  return { ...parsed, configurationPath: undefined };
}
const [shop, forum] = [tenantOf('shop'), tenantOf('forum')];

beforeEach(async () => {
  folder = await temporaryFolder();
  const launcherPath = join(folder.path, 'program.mjs');
  writeFileSync(launcherPath, program);
  answers = new CommandAnswers({ launcherPath, workingFolder: folder.path, variables: {} });
});
afterEach(async () => {
  await answers[Symbol.asyncDispose]();
  await folder[Symbol.asyncDispose]();
});

const askedFor = (): string[] => readFileSync(join(folder.path, 'asked'), 'utf8').trim().split('\n');

test('who asks the same gets the same answer, until something has changed', async () => {
  const [first, same] = await Promise.all([answers.ask(shop, ['look']), answers.ask(shop, ['look'])]);
  expect(first.summary).toEqual({ args: ['look', '--json'] });
  expect(same).toBe(first);
  expect(await answers.ask(shop, ['look'])).toBe(first);
  expect(askedFor()).toEqual(['look --json']);
  answers.changed('forum');
  expect(await answers.ask(shop, ['look'])).toBe(first);
  answers.changed('shop');
  expect(await answers.ask(shop, ['look'])).not.toBe(first);
  expect(askedFor()).toHaveLength(2);
});

test('a failure is told, and not remembered', async () => {
  await expect(answers.ask(shop, ['fail'])).rejects.toMatchObject({ code: 'JOB_FAILED' });
  await expect(answers.ask(shop, ['fail'])).rejects.toMatchObject({ code: 'JOB_FAILED' });
  expect(askedFor()).toHaveLength(2);
});

test('too many at once are refused, and the others end with the server', async () => {
  const waiting = Array.from({ length: 32 }, (_, at) => answers.ask(forum, ['wait', String(at)]));
  const ended = Promise.allSettled(waiting);
  await expect(answers.ask(forum, ['look'])).rejects.toMatchObject({ code: 'RATE_LIMITED' });
  await answers[Symbol.asyncDispose]();
  expect((await ended).every(({ status }) => status === 'rejected')).toBe(true);
});
