// Days of the example applications in simulated time: which backups are really made and when, what is left of a year of them, and when
// promises are broken.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { auditLogOf, pruneAudit } from '../../src/access/audit-log.ts';
import type { CheckData } from '../../src/cli/commands/check.ts';
import type { RetentionData } from '../../src/cli/commands/retention.ts';
import type { SnapshotList } from '../../src/cli/commands/snapshots.ts';
import type { StatusData } from '../../src/cli/commands/status.ts';
import { openReceivers, type Receivers } from '../support/example-receivers.ts';
import { jsonLines } from '../support/lifeboat.ts';
import { simulatedService, type SimulatedService } from '../support/simulated-service.ts';

/** The last days before one, the oldest first. */
function daysBefore(end: string, count: number, clock: string): string[] {
  const day = Temporal.PlainDate.from(end);
  return Array.from({ length: count }, (_, at) => `${day.subtract({ days: count - at }).toString()}T${clock}`);
}

const shown = (times: readonly string[]): string[] => times.map((time) => time.slice(0, 16));

describe('hasteCRM on a machine in New York, over the night that has no 02:00', () => {
  let crm: SimulatedService;
  const { TZ: zone } = process.env;
  let receivers: Receivers;
  let first: SnapshotList;
  const earlier = daysBefore('2026-03-08', 13, '02:00:00-05:00');

  beforeAll(async () => {
    process.env['TZ'] = 'America/New_York';
    receivers = await openReceivers();
    crm = await simulatedService({
      example: 'hastecrm',
      start: '2026-03-07T12:00:00Z',
      variables: { ...receivers.variables, S3_BACKUP_BUCKET: 'backups' },
      standIns: { database: 'fixtures/database.sql', cache: 'fixtures/cache.txt' },
    });
    for (const repository of ['local', 'offsite'])
      for (const component of ['database', 'cache']) await crm.addEarlier({ repository, component }, earlier);
    first = await crm.json('snapshots', '--repository', 'local', '--component', 'cache', '--last', '10');
    await crm.pass('2026-03-09T12:00:00Z');
  });
  afterAll(async () => {
    // Set to undefined it would be the text of that, for all files that this process runs after this one.
    if (zone === undefined) delete process.env['TZ'];
    else process.env['TZ'] = zone;
    await crm[Symbol.asyncDispose]();
    await receivers[Symbol.asyncDispose]();
  });

  test('S1-01 S1-02 S1-61 database and cache are backed up each day at 02:00 by the clock on the wall', () => {
    const nights = ['2026-03-08T07:00', '2026-03-09T06:00'];
    expect([crm.timesOf('backup/database'), crm.timesOf('backup/cache')]).toEqual([nights, nights]);
  });

  test('S1-62 on Sunday every byte of both copies is verified, those of the full backup of that night among them', async () => {
    const verified = crm.made.filter(({ job }) => job.startsWith('verification/'));
    expect(verified.map(({ at, args }) => `${at} ${args.slice(0, 4).join(' ')}`)).toEqual(
      ['local', 'offsite'].map((name) => `2026-03-08T08:00 verify --read-data --repository ${name}`),
    );
    const { repositories } = await crm.json<SnapshotList>('snapshots', '--component', 'database');
    for (const { snapshots } of repositories) {
      const night = snapshots.find(({ time }) => time.startsWith('2026-03-08T03:00'));
      expect(night).toMatchObject({ sizeBytes: snapshots[0]?.sizeBytes, verifications: [{ level: 'data' }] });
    }
  });

  test('S1-64 what is older than a week is gone from this machine, while S3 keeps it', async () => {
    const nights = ['2026-03-08T03:00', '2026-03-09T02:00'];
    for (const component of ['database', 'cache']) {
      // Counted from the backup of the 8th: the newest there was when the others were removed.
      expect(await crm.left('local', component)).toEqual([...shown(earlier.slice(-6)), ...nights]);
      expect(await crm.left('offsite', component)).toEqual([...shown(earlier), ...nights]);
    }
  });

  test('S1-39 S1-40 the last 10 of a source on this machine are listed, and the last 20 in S3', async () => {
    const times = (list: SnapshotList): string[] =>
      list.repositories.flatMap(({ snapshots }) => snapshots.map(({ time }) => time.slice(0, 16)));
    expect(times(first)).toEqual(shown(earlier.slice(-10)));
    const offsite = await crm.json<SnapshotList>('snapshots', '--repository', 'offsite', '--last', '20');
    const nights = [...earlier.slice(-8), '2026-03-08T03:00', '2026-03-09T02:00'];
    expect(times(offsite)).toEqual(shown(nights.flatMap((time) => [time, time])));
  });

  test('S1-45 for 24 hours after the backup of the night the promise is kept, and a second later it is broken', async () => {
    crm.clock.nowMs = Date.parse('2026-03-10T06:00:00Z');
    expect((await crm.lifeboat('status')).exitCode).toBe(0);
    crm.clock.nowMs += 1000;
    const late = await crm.lifeboat('status');
    expect(late.exitCode).toBe(30);
    expect(late.stdout).toMatch(/database +1d ago +breached 1d/);
  });

  test('S1-41 an upload that S3 refuses is told by mail, with what S3 said', async () => {
    crm.clock.nowMs = Date.parse('2026-03-10T05:55:00Z');
    await crm.look();
    expect(receivers.mailedTo()).toEqual([]);
    crm.leaveMemory('offsite');
    await crm.pass('2026-03-10T06:05:00Z');
    expect(crm.made.slice(-4).map(({ args, exitCode }) => `${args[3] ?? ''} ${exitCode}`)).toEqual(
      expect.arrayContaining(['local 0', 'offsite 1']),
    );
    crm.clock.nowMs += 10 * 60_000;
    await crm.look();
    expect(receivers.mailedTo()).toEqual(['operations@hastecrm.example']);
    expect(receivers.mails()).toMatch(/database: At risk[^]*the last backup failed:[^]*status 403, AccessDenied/);
  });
});

test('S1-63 on the first of a month the newest goes to the archive of that month, which GLACIER is made of (S1-19)', async () => {
  await using crm = await simulatedService({
    example: 'hastecrm',
    configuration: 'archive.yaml',
    start: '2026-03-31T20:00:00Z',
    variables: { S3_BACKUP_BUCKET: 'backups' },
    standIns: { database: 'fixtures/database.sql', cache: 'fixtures/cache.txt' },
  });
  for (const component of ['database', 'cache'])
    await crm.addEarlier({ repository: 'local', component }, daysBefore('2026-04-01', 3, '02:00:00Z'));
  await crm.pass('2026-04-01T12:00:00Z');
  for (const component of ['database', 'cache']) {
    expect(crm.timesOf(`copy/${component}/local/archive`)).toEqual(['2026-04-01T05:00']);
    expect(await crm.left('archive/2026-04', component)).toEqual(['2026-04-01T02:00']);
  }
  // It is filled by copies alone, and emptied by its bucket alone.
  for (const work of ['backup', 'retention', 'service backup', 'journal status']) {
    const ran = await crm.lifeboat(...work.split(' '), '--repository', 'archive', '--config', 'archive.yaml');
    expect([work, ran.exitCode, ran.stderr]).toEqual([work, 2, expect.stringContaining('archive is an archive')]);
  }
  const forgotten = ['repository', 'forget', '--keep-last', '1', '--dry-run', '--repository', 'archive'];
  expect((await crm.succeed(...forgotten, '--config', 'archive.yaml')).stdout).toContain('no snapshots fit');
  const looked = await crm.succeed('retention', '--dry-run', '--json', '--config', 'archive.yaml');
  const { repositories } = jsonLines(looked).at(-1) as unknown as RetentionData;
  expect(repositories.map(({ repository }) => repository)).toEqual(['local']);
});

/** Of each component: how its RPO, or its RTO, stands. */
async function standings(service: SimulatedService, what: 'rpo' | 'rto'): Promise<Record<string, string>> {
  const { components } = await service.json<StatusData>('status');
  return Object.fromEntries(components.map((component) => [component.name, component[what]]));
}

/** What the program says of promises that can't be kept; it ends with 32 exactly where there are some. */
async function contradictions(service: SimulatedService): Promise<readonly string[]> {
  const name = service.tenant.application.repositories[0]?.name ?? '';
  const { exitCode, stdout } = await service.lifeboat('check', '--strict', '--repository', name, '--json');
  const { subjects } = JSON.parse(stdout) as CheckData;
  const found = subjects.find(({ subject }) => subject === 'objectives')?.findings ?? [];
  expect(exitCode === 32).toBe(found.length > 0);
  return found.map(({ message }) => message);
}

describe('AIgentable', () => {
  let platform: SimulatedService;
  let receivers: Receivers;

  beforeAll(async () => {
    receivers = await openReceivers();
    platform = await simulatedService({
      example: 'aigentable',
      start: '2026-03-12T19:00:00Z',
      variables: { ...receivers.variables, APP_FOLDER: './app', BACKUP_FOLDER: './backups' },
      standIns: { database: 'fixtures/database.sql', cache: 'fixtures/cache.txt', configuration: 'app/.env.example' },
    });
    const months = Array.from({ length: 14 }, (_, at) => Temporal.PlainYearMonth.from('2025-01').add({ months: at }));
    const year = months.flatMap((month) =>
      [4, 19, month.daysInMonth].map((day) => month.toPlainDate({ day }).toString()),
    );
    const database = [...year.map((day) => `${day}T22:00:00Z`), ...daysBefore('2026-03-12', 11, '22:00:00Z')];
    for (const repository of ['local', 'offsite']) {
      await platform.addEarlier({ repository, component: 'database' }, database);
      await platform.addEarlier({ repository, component: 'cache' }, daysBefore('2026-03-13', 6, '17:00:00Z'));
      for (const component of ['documents', 'uploads', 'configuration', 'logs'])
        await platform.addEarlier({ repository, component }, ['2026-03-12T03:00:00Z']);
    }
    await platform.pass('2026-03-13T19:00:00Z');
  });
  afterAll(async () => {
    await platform[Symbol.asyncDispose]();
    await receivers[Symbol.asyncDispose]();
  });

  test('S2-027 S2-028 S2-031 the database is backed up at 02:00 UTC and every 4 hours, the cache every 6 hours', () => {
    const database = platform.timesOf('backup/database');
    expect(database).toContain('2026-03-13T02:00');
    const hoursBetween = (times: readonly string[]): number[] =>
      times.slice(1).map((time, at) => (Date.parse(`${time}Z`) - Date.parse(`${times[at] ?? ''}Z`)) / 3_600_000);
    expect(hoursBetween(database.filter((time) => !time.endsWith('02:00')))).toEqual([4, 4, 4, 4, 4]);
    expect(hoursBetween(platform.timesOf('backup/cache'))).toEqual([6, 6, 6]);
  });

  test('S2-029 of a year and more 7 days, 4 weeks and 12 months of the database are left', async () => {
    const months = ['2025-04-30', '2025-05-31', '2025-06-30', '2025-07-31', '2025-08-31', '2025-09-30', '2025-10-31'];
    const rest = ['2025-11-30', '2025-12-31', '2026-01-31', '2026-02-28'];
    const weeks = ['2026-02-19', '2026-03-01', '2026-03-08'];
    const days = ['2026-03-07', '2026-03-08', '2026-03-09', '2026-03-10', '2026-03-11'];
    const seeded = [...new Set([...months, ...rest, ...weeks, ...days])].toSorted().map((day) => `${day}T22:00`);
    const newest = ['2026-03-12T20:45', '2026-03-13T16:45'];
    expect(await platform.left('local', 'database')).toEqual([...seeded, ...newest]);
  });

  test('S2-033 of the cache nothing older than 3 days is left', async () => {
    const [oldest, ...others] = await platform.left('local', 'cache');
    expect(oldest).toBe('2026-03-10T17:00');
    expect(others).toEqual(['2026-03-11T17:00', '2026-03-12T17:00', ...platform.timesOf('backup/cache')]);
  });

  test('S2-018 S2-019 S2-020 SF-02 what can be lost is held against what was promised, before and after it is', async () => {
    expect(await contradictions(platform)).toEqual([expect.stringMatching(/up to 4h apart.* promised is 1h$/)]);
    const met = { documents: 'met', uploads: 'met', configuration: 'met' };
    expect(await standings(platform, 'rpo')).toMatchObject({ ...met, database: 'breached' });
    platform.clock.nowMs = Date.parse('2026-03-13T17:45:00Z');
    expect(await standings(platform, 'rpo')).toMatchObject({ ...met, database: 'met' });
    platform.clock.nowMs = Date.parse('2026-03-14T03:00:01Z');
    const breached = { documents: 'breached', uploads: 'breached', configuration: 'breached' };
    expect(await standings(platform, 'rpo')).toMatchObject(breached);
    await platform.reconfigured(
      (text) => text.replace('every: 4h', 'every: 50m'),
      async () => {
        expect(await contradictions(platform)).toEqual([]);
      },
    );
  });

  test('S2-015 S2-016 S2-017 how long restores really took is held against 4, 24 and 2 hours', async () => {
    platform.clock.tickMs = 1000;
    const proven = ['cache', 'documents', 'logs'];
    for (const component of proven) await platform.succeed('prove', component, '--repository', 'local');
    platform.clock.tickMs = 0;
    const rtos = async (): Promise<unknown[]> => {
      const { components } = await platform.json<StatusData>('status');
      return components.filter(({ name }) => proven.includes(name)).map(({ name, rtoMs, rto }) => [name, rtoMs, rto]);
    };
    const hourMs = 3_600_000;
    expect(await rtos()).toEqual([
      ['cache', 4 * hourMs, 'met'],
      ['documents', 2 * hourMs, 'met'],
      ['logs', 24 * hourMs, 'met'],
    ]);
    await platform.reconfigured(
      (text) => text.replaceAll(/rto: \d+h/g, 'rto: 1s'),
      async () => {
        expect(await rtos()).toEqual(proven.map((name) => [name, 1000, 'breached']));
      },
    );
  });

  test('S2-083 S2-084 S2-085 S2-088 S2-089 administrators and engineers have mail at once, the vendors after an hour', async () => {
    await platform.look();
    const primary = ['admin@company.example', 'dba@company.example', 'devops@company.example'];
    expect(receivers.mailedTo()).toEqual(primary);
    platform.clock.nowMs += 60 * 60_000;
    await platform.look();
    const vendors = ['support@cloud.example', 'support@database.example'];
    expect(receivers.mailedTo()).toEqual(
      [...primary, 'cto@company.example', ...vendors, 'tech-lead@company.example'].toSorted(),
    );
  });
});

describe('the CRM of ApexAI', () => {
  let crm: SimulatedService;
  let receivers: Receivers;
  const nights = ['2026-03-03', '2026-03-04'];
  const logs = daysBefore('2026-03-03', 33, '02:30:00Z');
  const audit = daysBefore('2026-03-03', 368, '02:45:00Z').slice(0, 8);

  beforeAll(async () => {
    receivers = await openReceivers();
    crm = await simulatedService({
      example: 'apexai',
      start: '2026-03-03T02:00:00Z',
      variables: { ...receivers.variables, BACKUP_FOLDER: './backups', LOG_FOLDER: './fixtures/logs' },
      standIns: { database: 'fixtures/database.sql' },
    });
    const database = { repository: 'local', component: 'database' };
    await crm.addEarlier({ ...database, repository: 'offsite' }, ['2026-03-02T03:30:00Z']);
    await crm.addEarlier(database, daysBefore('2026-03-03', 10, '03:30:00Z'));
    await crm.addEarlier({ ...database, tags: ['manual'] }, daysBefore('2026-03-03', 92, '12:00:00Z').slice(0, 6));
    await crm.addEarlier({ repository: 'local', component: 'application-logs' }, logs);
    await crm.addEarlier({ repository: 'local', component: 'audit-logs' }, audit);
    await crm.pass('2026-03-04T04:35:00Z');
  });
  afterAll(async () => {
    await crm[Symbol.asyncDispose]();
    await receivers[Symbol.asyncDispose]();
  });

  test('S0-06 the database is backed up once each day between 03:00 and 04:00 UTC', () => {
    const times = crm.timesOf('backup/database');
    expect(times.map((time) => time.slice(0, 13))).toEqual(nights.map((day) => `${day}T03`));
  });

  test('S0-74 7 days of the automated backups are left, and 90 days of those by hand', async () => {
    const taken = crm.timesOf('backup/database');
    expect(await crm.left('local', 'database')).toEqual([
      '2025-12-04T12:00',
      '2025-12-05T12:00',
      '2025-12-06T12:00',
      ...['2026-02-26', '2026-02-27', '2026-02-28', '2026-03-01', '2026-03-02'].map((day) => `${day}T03:30`),
      ...taken,
    ]);
  });

  test('S0-75 S0-76 30 days of the logs of the application are left, and a year of those of the audit', async () => {
    expect(await crm.left('local', 'application-logs')).toEqual([
      ...shown(logs.slice(-28)),
      ...nights.map((day) => `${day}T02:30`),
    ]);
    const year = shown(audit).filter((time) => time >= '2025-03-04T02:46');
    expect(year.length).toBeGreaterThan(0);
    expect(await crm.left('local', 'audit-logs')).toEqual([...year, ...nights.map((day) => `${day}T02:45`)]);
  });

  test('S0-76 what people did is kept for a year, and the log that was cut is still whole', async () => {
    const { nowMs } = crm.clock;
    const after = (days: number): number => (crm.clock.nowMs = nowMs + days * 86_400_000);
    for (const [name, day] of [
      ['anna', 0],
      ['ben', 200],
    ] as const) {
      after(day);
      await crm.succeed('token', 'create', name, '--role', 'viewer');
    }
    const log = auditLogOf(crm.catalog, crm.stateFolder);
    const told = async (): Promise<string[]> => {
      const { entries } = await crm.json<{ entries: readonly { action: string }[] }>('audit', 'list');
      return entries.map(({ action }) => action).toSorted();
    };
    after(365);
    await pruneAudit(log);
    expect(await told()).toEqual(['token.created', 'token.created']);
    after(367);
    await pruneAudit(log);
    expect(await told()).toEqual(['audit.pruned', 'token.created']);
    await crm.succeed('audit', 'verify');
    crm.clock.nowMs = nowMs;
  });

  test('S0-02 S0-03 15 minutes can be kept with the journal and not without, and a restore is measured against its hour', async () => {
    expect(await contradictions(crm)).toEqual([]);
    const withoutJournal = (text: string): string =>
      text.replace(/^ +journal: .*\n/m, '').replace(/^ +checks:\n.*\n/m, '');
    await crm.reconfigured(withoutJournal, async () => {
      expect(await contradictions(crm)).toEqual([expect.stringMatching(/up to 1d apart.*promised is 15m$/)]);
      const taken = Date.parse(`${crm.timesOf('backup/database').at(-1) ?? ''}Z`);
      for (const [minutes, rpo] of [
        [14, 'met'],
        [16, 'breached'],
      ] as const) {
        crm.clock.nowMs = taken + minutes * 60_000;
        expect(await standings(crm, 'rpo')).toMatchObject({ database: rpo });
      }
      crm.clock.tickMs = 1000;
      await crm.succeed('prove', 'database', '--repository', 'local');
      crm.clock.tickMs = 0;
      expect(await standings(crm, 'rto')).toMatchObject({ database: 'met' });
    });
    const quick = (text: string): string => withoutJournal(text).replace('rto: 1h', 'rto: 1s');
    await crm.reconfigured(quick, async () => {
      expect(await standings(crm, 'rto')).toMatchObject({ database: 'breached' });
    });
  });

  test('S0-50 S0-65 S0-66 S0-67 S0-68 stakeholders and whoever is on call hear of it at once, the others one after another', async () => {
    await crm.look();
    expect(receivers.textedTo()).toEqual(['+15005550001']);
    expect(receivers.mailedTo()).toEqual(['stakeholders@apexai.example']);
    crm.clock.nowMs += 15 * 60_000;
    await crm.look();
    expect(receivers.textedTo()).toEqual(['+15005550001', '+15005550002']);
    crm.clock.nowMs += 15 * 60_000;
    await crm.look();
    expect(receivers.textedTo()).toEqual(['+15005550001', '+15005550002', '+15005550003']);
    expect(receivers.mailedTo()).toEqual(['aws-support@apexai.example', 'stakeholders@apexai.example']);
    const tested = await crm.succeed('alerts', 'test', 'mail', 'slack');
    expect(tested.stdout.match(/^ok /gm)).toHaveLength(5);
    expect(receivers.mailedTo()).toEqual(expect.arrayContaining(['cto@apexai.example', 'devops-lead@apexai.example']));
    expect(receivers.requestsAt('/slack').join('')).toContain('Test message');
  });
});

describe('Kessan, over the Sunday on which others work on its database', () => {
  let kessan: SimulatedService;
  let receivers: Receivers;

  beforeAll(async () => {
    receivers = await openReceivers();
    kessan = await simulatedService({
      example: 'kessan',
      start: '2026-03-07T02:00:00Z',
      variables: { ...receivers.variables, BACKUP_S3_BUCKET: 'kessan-backups', CONFIG_FOLDER: './fixtures' },
      standIns: { database: 'fixtures/database.sql', configuration: 'fixtures/app.env' },
    });
    await kessan.addEarlier({ repository: 'primary', component: 'database' }, ['2026-03-06T03:30:00Z']);
    await kessan.addEarlier({ repository: 'config-backups', component: 'configuration' }, ['2026-03-06T04:30:00Z']);
    await kessan.pass('2026-03-09T06:00:00Z');
  });
  afterAll(async () => {
    await kessan[Symbol.asyncDispose]();
    await receivers[Symbol.asyncDispose]();
  });

  test('S3-07 the database is backed up between 03:00 and 04:00', () => {
    const times = kessan.timesOf('backup/database');
    expect(times.map((time) => time.slice(0, 13))).toEqual(['2026-03-07T03', '2026-03-08T03', '2026-03-09T03']);
  });

  test('S3-08 nothing begins on Sunday from 04:00 to 05:00: what comes then waits until it is over', () => {
    expect(kessan.timesOf('backup/configuration')).toEqual([
      '2026-03-07T04:30',
      '2026-03-07T16:30',
      '2026-03-08T05:00',
      '2026-03-08T16:30',
      '2026-03-09T04:30',
    ]);
    expect(kessan.made.filter(({ at, job }) => job.startsWith('backup/') && at.startsWith('2026-03-08T04'))).toEqual(
      [],
    );
  });

  test('S3-01 S3-02 one hour can be kept with the journal and not without; what is later is said, and how long a restore took', async () => {
    expect(await contradictions(kessan)).toEqual([]);
    const withoutJournal = (text: string): string => text.replace(/^ +journal: .*\n/m, '');
    await kessan.reconfigured(withoutJournal, async () => {
      expect(await contradictions(kessan)).toEqual([expect.stringMatching(/up to 1d apart.*promised is 1h$/)]);
      const taken = Date.parse(`${kessan.timesOf('backup/database').at(-1) ?? ''}Z`);
      kessan.clock.nowMs = taken + 59 * 60_000;
      expect(await standings(kessan, 'rpo')).toEqual({ database: 'met', configuration: 'met' });
      kessan.clock.nowMs = taken + 61 * 60_000;
      expect(await standings(kessan, 'rpo')).toEqual({ database: 'breached', configuration: 'met' });
      kessan.clock.tickMs = 1000;
      await kessan.succeed('prove', 'database', '--repository', 'primary');
      kessan.clock.tickMs = 0;
      expect(await standings(kessan, 'rto')).toMatchObject({ database: 'met' });
    });
    await kessan.reconfigured(
      (text) => text.replaceAll('rto: 4h', 'rto: 1s'),
      async () => {
        expect(await standings(kessan, 'rto')).toMatchObject({ database: 'breached' });
      },
    );
  });

  test('SF-04 where the other region has a copy of the week alone, the loss of the region is told by itself', async () => {
    const weekly = (text: string): string =>
      text
        .replace('rpo: 1h, rto: 4h, scenarios: { site: 1d }', 'rpo: 15m, rto: 4h')
        .replace(
          'copy: { to: other-region }',
          "copy: { to: other-region, schedule: { cron: '0 6 * * 0', timeZone: UTC } }",
        );
    await kessan.reconfigured(weekly, async () => {
      expect(await contradictions(kessan)).toEqual([
        expect.stringMatching(/^site loss: copies to other-region are up to 7d apart.*promised is 15m$/),
      ]);
    });
  });

  test('S3-80 S3-81 S3-82 S3-83 S3-84 S3-85 S3-86 S3-87 three are called at once, two after a quarter of an hour, then those outside', async () => {
    await kessan.look();
    const primary = ['+819012345678', '+819023456789', '+819034567890'];
    expect(receivers.textedTo()).toEqual(primary);
    kessan.clock.nowMs += 15 * 60_000;
    await kessan.look();
    expect(receivers.textedTo()).toEqual([...primary, '+819045678901', '+819056789012']);
    expect([receivers.mailedTo(), receivers.requestsAt('/case')]).toEqual([[], []]);
    kessan.clock.nowMs += 45 * 60_000;
    await kessan.look();
    expect(receivers.mailedTo()).toEqual(['services@kessan.example', 'support@datadoghq.example']);
    expect(receivers.requestsAt('/case').join('')).toContain('RPO breached');
  });
});
