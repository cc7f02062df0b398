import { describe, expect, test } from 'vitest';
import { join } from 'node:path';
import { temporaryFolder } from '../../../test/support/temporary-folder.ts';
import { openCatalog } from '../../catalog/open-catalog.ts';
import { knownSchedules, pauseSchedule } from '../../catalog/schedules.ts';
import { plainStyle } from '../style.ts';
import { scheduleCommand, type ScheduleData } from './schedule.ts';
import { parseConfiguration } from '../../config/load.ts';
import type { CommandContext } from '../context.ts';

const text = `application: shop
repositories: { local: { location: /a }, offsite: { location: s3://bucket/b } }
policies:
  nightly:
    schedule: [{ cron: '30 2 * * *', timeZone: Europe/Berlin }, { before: deployment }]
    repositories: [local]
    copy: { to: offsite, schedule: { cron: '30 2 * * SUN', timeZone: UTC } }
    proof: { schedule: { after: backup } }
components:
  database: { type: redis, policy: nightly, maintenance: [{ window: 'sun:02:00-sun:05:00', timeZone: UTC }] }
  cache: { type: redis, policy: { schedule: { cron: '*/5 * * * *', timeZone: UTC }, repositories: [local] } }`;

async function scheduleAt(
  now: string,
  input: Partial<Parameters<typeof scheduleCommand.run>[1]>,
  path = '/there/is/no/catalog.sqlite',
): Promise<ScheduleData> {
  const environment = { variables: {}, workingFolder: '/', homeFolder: '/home/me' };
  const configuration = parseConfiguration(text, { path: '/lifeboat.yaml', environment });
  const clock = { now: () => Temporal.Instant.from(now).epochMilliseconds };
  const catalogLocation = { path, url: undefined };
  const context: Pick<CommandContext, 'clock' | 'findConfiguration' | 'catalogLocation' | 'openCatalog'> = {
    clock,
    catalogLocation,
    openCatalog: () => openCatalog(catalogLocation, clock),
    findConfiguration: () => Promise.resolve(configuration),
  };
  const all = { days: undefined, runCount: undefined, components: [], ...input };
  return await scheduleCommand.run(context as CommandContext, all);
}

describe('schedule', () => {
  test('shows runs by the clock of their zones over the night that has an hour twice, and what waits below', async () => {
    const data = await scheduleAt('2026-10-23T12:00Z', { days: 3, components: ['database'] });
    const shown = scheduleCommand.render(data, plainStyle());
    expect(shown).toMatchInlineSnapshot(`
      "When                          What             Where            Schedule
      Sat 2026-10-24 02:30 +02:00   backup database  local            daily at 02:30
                                                                      (Europe/Berlin)
      Sun 2026-10-25 02:30 +02:00   backup database  local            daily at 02:30
                                                                      (Europe/Berlin)
      Sun 2026-10-25 05:00 +00:00*  copy database    local to         Sunday at 02:30
                                                     offsite          (UTC)
      Mon 2026-10-26 02:30 +01:00   backup database  local            daily at 02:30
                                                                      (Europe/Berlin)

      * at the end of the maintenance of its component

      What             Where  Comes
      backup database  local  before deployment
      proof database   local  after backup"
    `);
    expect(Math.max(...shown.split('\n').map(({ length }) => length))).toBeLessThanOrEqual(80);
  });

  test('stops at a count, says so, and knows nothing of components that are not there', async () => {
    const data = await scheduleAt('2026-10-24T12:01Z', {});
    expect(data).toMatchObject({ isCut: true, runs: { length: 20 } });
    expect(scheduleCommand.render(data, plainStyle())).toContain('more than 20 runs');
    const three = await scheduleAt('2026-10-24T12:01Z', { runCount: 3, components: ['cache'] });
    expect(three.runs.map(({ time }) => time.slice(11, 16))).toEqual(['12:05', '12:10', '12:15']);
    expect(three.waiting).toEqual([]);
    await expect(scheduleAt('2026-10-24T12:01Z', { components: ['cash'] })).rejects.toMatchObject({
      code: 'NOT_FOUND',
    });
    expect((await scheduleAt('2026-10-24T12:01Z', { days: 1, components: ['cache'] })).runs).toHaveLength(288);
  });

  test('leaves out what comes in a pause, and tells of the pause', async () => {
    await using folder = await temporaryFolder();
    const path = join(folder.path, 'catalog.sqlite');
    const now = '2026-10-24T12:01Z';
    const nowMs = Temporal.Instant.from(now).epochMilliseconds;
    {
      await using catalog = await openCatalog({ path, url: undefined }, { now: () => nowMs });
      const ids = ['shop/backup/cache', 'shop/backup/database'];
      await knownSchedules(
        catalog,
        ids.map((id) => ({ id, spec: 'any' })),
      );
      await pauseSchedule(catalog, { id: 'shop/backup/cache', untilMs: nowMs + 30 * 60_000 });
      await pauseSchedule(catalog, { id: 'shop/backup/database', untilMs: undefined });
    }
    const data = await scheduleAt(now, { days: 1 }, path);
    expect(data.runs.find(({ job }) => job === 'backup/cache')?.time).toBe('2026-10-24T12:35:00+00:00');
    expect(data.runs.map(({ job }) => job)).not.toContain('backup/database');
    expect(data.paused).toEqual([
      { job: 'backup/cache', isPaused: true, pausedUntil: '2026-10-24T12:31:00.000Z' },
      { job: 'backup/database', isPaused: true, pausedUntil: undefined },
    ]);
    const shown = scheduleCommand.render(data, plainStyle());
    expect(shown).toContain('backup/cache is paused until 2026-10-24 12:31');
    expect(shown).toContain("backup/database is paused until 'lifeboat schedule resume backup/database'");
  });

  test('says what to do where nothing is scheduled', () => {
    const none = scheduleCommand.render({ runs: [], isCut: false, waiting: [], paused: [] }, plainStyle());
    expect(none).toContain('give a policy a schedule');
  });
});
