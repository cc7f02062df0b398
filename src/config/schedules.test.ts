// Every schedule that the requirements name, as it is written in lifeboat.yaml, with its next three runs. The ids are rows of
// the requirements.
import { expect, test } from 'vitest';
import { allJobsOf, concerns, jobsOf, type Job } from '../model/job.ts';
import { nextTimes } from '../model/schedule-times.ts';
import { describeSchedule } from '../model/schedule-words.ts';
import { opensAt } from '../model/time-window.ts';
import { parseConfiguration } from './load.ts';

const after = Temporal.Instant.from('2026-03-27T12:00Z').epochMilliseconds;

function jobsOfPolicy(policy: string, more = ''): readonly Job[] {
  const text = `application: shop
repositories: { local: { location: /a }, region2: { location: s3://bucket/b }, archive: { location: s3://bucket/c } }
components: { database: { type: postgres, policy: { repositories: [local], ${policy} }${more} } }`;
  const environment = { variables: {}, workingFolder: '/', homeFolder: '/home/me' };
  return jobsOf(parseConfiguration(text, { path: '/lifeboat.yaml', environment }).application);
}

function shown(time: number, zone: string): string {
  const local = Temporal.Instant.fromEpochMilliseconds(time).toZonedDateTimeISO(zone);
  return local.toString({ smallestUnit: 'minute', timeZoneName: 'never', offset: zone === 'UTC' ? 'never' : 'auto' });
}

function nextThree(job: Job | undefined, zone: string): string[] {
  const times = nextTimes(job?.schedules ?? [], { after, seed: job?.seed ?? '' }).take(3);
  return [...times].map((time) => shown(time, zone));
}

const daily2 = ['2026-03-28T02:00', '2026-03-29T02:00', '2026-03-30T02:00'];
const quarterly = ['2026-04-01T09:00', '2026-07-01T09:00', '2026-10-01T09:00'];
const yearly = ['2027-01-10T09:00', '2028-01-10T09:00', '2029-01-10T09:00'];

const quarterly9 = "schedule: { cron: '0 9 1 JAN,APR,JUL,OCT *', timeZone: UTC }";
const sundays = ['2026-03-29T04:00', '2026-04-05T04:00', '2026-04-12T04:00'];

/** Drills have no key yet: their schedules stand where those of backups do. */
test.each<[rows: string, policy: string, expected: readonly [kind: Job['kind'], runs: readonly string[]]]>([
  ['S0-04 S1-01 S1-02 S2-027', "schedule: { cron: '0 2 * * *', timeZone: UTC }", ['backup', daily2]],
  [
    'S2-034 S2-035 S2-037 S4-026 S4-030',
    "schedule: { cron: '@daily', timeZone: UTC }",
    ['backup', ['2026-03-28T00:00', '2026-03-29T00:00', '2026-03-30T00:00']],
  ],
  [
    'S4-013',
    "schedule: { cron: '0 3 * * *', timeZone: UTC }",
    ['backup', ['2026-03-28T03:00', '2026-03-29T03:00', '2026-03-30T03:00']],
  ],
  ['S1-62 S2-036', "schedule: { cron: '0 4 * * SUN', timeZone: UTC }", ['backup', sundays]],
  ['S0-69', "proof: { schedule: { cron: '0 4 * * SUN', timeZone: UTC } }", ['proof', sundays]],
  [
    'S1-62',
    "verification: { schedule: { cron: '0 4 * * SUN', timeZone: UTC }, level: data }",
    ['verification', sundays],
  ],
  ['S2-090', "verification: { schedule: { cron: '0 2 * * *', timeZone: UTC } }", ['verification', daily2]],
  ['S4-017', "copy: { to: region2, schedule: { cron: '0 4 * * SUN', timeZone: UTC } }", ['copy', sundays]],
  [
    'S1-63',
    "copy: { to: archive, snapshots: newest, schedule: { cron: '0 5 1 * *', timeZone: UTC } }",
    ['copy', ['2026-04-01T05:00', '2026-05-01T05:00', '2026-06-01T05:00']],
  ],
  [
    'S0-31 S1-72 S2-091 S4-081 S4-082 S4-083 S4-090',
    "schedule: { cron: '0 9 15W * *', timeZone: UTC }",
    ['backup', ['2026-04-15T09:00', '2026-05-15T09:00', '2026-06-15T09:00']],
  ],
  [
    'S3-72',
    "schedule: { cron: '0 9 * * MON#1', timeZone: UTC }",
    ['backup', ['2026-04-06T09:00', '2026-05-04T09:00', '2026-06-01T09:00']],
  ],
  [
    'S3-73',
    "schedule: { cron: '0 9 * * MON#2', timeZone: UTC }",
    ['backup', ['2026-04-13T09:00', '2026-05-11T09:00', '2026-06-08T09:00']],
  ],
  [
    'S3-74',
    "schedule: { cron: '0 9 * * MON#3', timeZone: UTC }",
    ['backup', ['2026-04-20T09:00', '2026-05-18T09:00', '2026-06-15T09:00']],
  ],
  [
    'S3-75',
    "schedule: { cron: '0 9 * * MON#4', timeZone: UTC }",
    ['backup', ['2026-04-27T09:00', '2026-05-25T09:00', '2026-06-22T09:00']],
  ],
  ['S1-73 S2-092 S2-153 S3-76 S3-77 S3-78 S3-79 S4-084 S4-085 S4-086 S4-097', quarterly9, ['backup', quarterly]],
  ['S1-74 S4-087 S4-088 S4-089', "schedule: { cron: '0 9 10 JAN *', timeZone: UTC }", ['backup', yearly]],
])('%s is written as %s', (_, policy, [kind, runs]) => {
  const job = jobsOfPolicy(policy).find((each) => each.kind === kind);
  expect(nextThree(job, 'UTC')).toEqual(runs);
});

test('S1-61 a backup at 02:00 local time stays at 02:00 by that clock when clocks change', () => {
  const [job] = jobsOfPolicy("schedule: { cron: '0 2 * * *', timeZone: America/New_York }");
  const zone = 'America/New_York';
  expect(nextThree(job, zone)).toEqual(['2026-03-28T02:00-04:00', '2026-03-29T02:00-04:00', '2026-03-30T02:00-04:00']);
  const winter = [...nextTimes(job?.schedules ?? [], { after: after - 22 * 86_400_000, seed: '' }).take(4)];
  // There is no 02:00 on 8 March.
  expect(winter.map((time) => shown(time, zone))).toEqual([
    '2026-03-06T02:00-05:00',
    '2026-03-07T02:00-05:00',
    '2026-03-08T03:00-04:00',
    '2026-03-09T02:00-04:00',
  ]);
});

test.each([
  ['S2-028', '4h', 4],
  ['S2-031', '6h', 6],
])('%s runs every %s, whenever it was started', (_, every, hours) => {
  const [job] = jobsOfPolicy(`schedule: { every: ${every} }`);
  const schedules = job?.schedules ?? [];
  const seed = job?.seed ?? '';
  const times = [...nextTimes(schedules, { after, seed }).take(3)];
  expect(times.map((time) => (time - (times[0] ?? 0)) / 3_600_000)).toEqual([0, hours, 2 * hours]);
  expect([...nextTimes(schedules, { after: after + hours * 3_600_000, seed }).take(2)]).toEqual(times.slice(1));
});

test.each(['S0-06', 'S3-07'])('%s runs inside 03:00-04:00 UTC, at the same moment every day', () => {
  const [job] = jobsOfPolicy("schedule: { window: '03:00-04:00', timeZone: UTC }");
  const runs = nextThree(job, 'UTC');
  expect(runs.map((run) => run.slice(0, 13))).toEqual(['2026-03-28T03', '2026-03-29T03', '2026-03-30T03']);
  expect(new Set(runs.map((run) => run.slice(13))).size).toBe(1);
});

test('S3-08 what comes in the maintenance window sun:04:00-sun:05:00 begins at its end', () => {
  const policy = "schedule: { cron: '30 4 * * *', timeZone: UTC }";
  const text = `application: shop
repositories: { local: { location: /a } }
components: { database: { type: postgres, policy: { ${policy} }, maintenance: [{ window: 'sun:04:00-sun:05:00', timeZone: UTC }] } }`;
  const environment = { variables: {}, workingFolder: '/', homeFolder: '/home/me' };
  const { application } = parseConfiguration(text, { path: '/lifeboat.yaml', environment });
  const maintenance = application.components[0]?.maintenance ?? [];
  const [job] = jobsOf(application);
  const times = nextTimes(job?.schedules ?? [], { after, seed: '' }).take(3);
  expect([...times].map((time) => shown(opensAt(maintenance, time) ?? 0, 'UTC'))).toEqual([
    '2026-03-28T04:30',
    '2026-03-29T05:00',
    '2026-03-30T04:30',
  ]);
});

test('S4-016 a backup before a deployment, and what follows another job, wait for it', () => {
  const jobs = jobsOfPolicy(`schedule: [{ every: 1d }, { before: deployment }], copy: { to: region2 },
    verification: { schedule: { after: copy } }, proof: { schedule: { after: backup, of: database } }`);
  expect(jobs.map(({ id, schedules }) => `${id}: ${schedules.map(describeSchedule).join(', ')}`)).toEqual([
    'backup/database: every 1d, before deployment',
    'copy/database/local/region2: after backup',
    'proof/database: after backup of database',
    'verification/local/structure: after copy',
    'verification/region2/structure: after copy',
  ]);
  expect(jobs.every((job) => concerns(job, 'database'))).toBe(true);
});

test('S1-64 S2-029 what the rules no longer keep is removed once a day, or when the policy says', () => {
  const [daily] = jobsOfPolicy('retention: { keepDaily: 7 }');
  expect(daily).toMatchObject({ id: 'retention/local', schedules: [{ kind: 'interval', everyMs: 86_400_000 }] });
  const [weekly] = jobsOfPolicy("retention: { keepDaily: 7, schedule: { cron: '0 4 * * SUN', timeZone: UTC } }");
  expect(nextThree(weekly, 'UTC')).toEqual(sundays);
  expect(jobsOfPolicy('retention: {}')).toEqual([]);
});

test('the state of the service is backed up every day in each repository, or as the file says, or not at all', () => {
  const jobs = (service: string): unknown[] => {
    const text = `{application: shop, repositories: {a: {location: /a}, b: {location: /b}}, components: {}${service}}`;
    const environment = { variables: {}, workingFolder: '/', homeFolder: '/home/me' };
    const { application } = parseConfiguration(text, { path: '/lifeboat.yaml', environment });
    return allJobsOf(application).map(({ id, schedules }) => [id, ...schedules.map(describeSchedule)]);
  };
  expect(jobs('')).toEqual([
    ['self-backup/a', 'every 1d'],
    ['self-backup/b', 'every 1d'],
  ]);
  const own = 'schedule: {before: deployment}, repositories: [b], retention: {keepLast: 1}';
  expect(jobs(`, service: {selfBackup: {${own}}}`)).toEqual([['self-backup/b', 'before deployment']]);
  expect(jobs(', service: {selfBackup: false}')).toEqual([]);
  expect(() => jobs(', service: {selfBackup: {repositories: [c]}}')).toThrow(
    "found 'c', expected the name of a repository",
  );
  expect(() => jobs(', service: {selfBackup: {schedule: {after: backup}}}')).toThrow(
    'expected cron, every, window or before',
  );
});
