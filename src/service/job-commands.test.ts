// What people write comes into a command line as one word behind its option, so that it can't be an option of its own.
import { expect, test } from 'vitest';
import { parseConfiguration } from '../config/load.ts';
import { jobsOf, jobsOnDemand } from '../model/job.ts';
import { stepsOfJob } from './job-commands.ts';
import { restoreArgs } from './restore-runs.ts';

const environment = { variables: {}, workingFolder: '/srv', homeFolder: '/root' };
const { application } = parseConfiguration(
  `
application: shop
repositories: { local: { location: ./local }, other: { location: ./other } }
components:
  files:
    type: files
    paths: [/srv]
    policy: { schedule: { every: 1h }, repositories: [local], verification: { schedule: { every: 1d }, level: data } }
  more: { type: files, paths: [/more], labels: [host=db-1] }
`,
  { path: '/srv/lifeboat.yaml', environment },
);

test('people may start what nothing starts by itself, and a scheduled job is the same one', () => {
  const scheduled = jobsOf(application);
  const all = jobsOnDemand(application);
  expect(all.slice(0, scheduled.length)).toEqual(scheduled);
  expect(all.map(({ id }) => id).toSorted()).toEqual([
    'backup/files',
    'backup/more',
    'proof/files',
    'proof/more',
    'verification/local/data',
    'verification/local/structure',
    'verification/other/data',
    'verification/other/structure',
  ]);
  const more = all.find(({ id }) => id === 'backup/more');
  expect(more).toMatchObject({ schedules: [], labels: ['host=db-1'], repositories: ['local', 'other'] });
});

test('a description and a path stay what they are, also with a dash in front', () => {
  const [backup] = stepsOfJob(
    { kind: 'backup', component: 'files', repositories: ['local'] },
    { round: 0, description: '--yes', configurations: [] },
  );
  expect(backup?.args).toContain('--description=--yes');
  expect(backup?.args).not.toContain('--yes');
  const wish = { application: 'shop', component: 'files', snapshot: 'ab', repository: 'local' } as const;
  const args = restoreArgs({ ...wish, target: 'beside', include: ['--yes', '/a b'] }, '/state/restores/1');
  expect(args).toEqual(expect.arrayContaining(['--include=--yes', '--include=/a b', '--to=/state/restores/1']));
  expect(args).not.toContain('--yes');
});

test('a proof of one backup names it and where it lies', () => {
  const point = { snapshot: 'abcd', repository: 'other' };
  const work = { kind: 'proof', component: 'files', repositories: ['local'] } as const;
  const [proof] = stepsOfJob(work, { round: 0, point, configurations: [] });
  expect(proof?.args.slice(0, 6)).toEqual(['prove', 'files', '--from', 'abcd', '--repository', 'other']);
});
