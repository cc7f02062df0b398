// What schedules and leases are kept by, on both kinds of catalog.
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { acquireLease, leasesWith, releaseLease, renewLease, tellLease } from '../../src/catalog/leases.ts';
import { runHistory, runsByEnding } from '../../src/catalog/run-history.ts';
import { hasOpenRun, insertRun, type NewRun } from '../../src/catalog/runs.ts';
import { countFirings, fire, knownSchedules, pauseSchedule, resumeSchedule } from '../../src/catalog/schedules.ts';
import { describeWithCatalogs, openTestCatalog } from '../support/catalogs.ts';

const run: NewRun = { kind: 'backup', application: 'shop', input: { job: 'backup/a' }, origin: { kind: 'request' } };
const id = 'shop/backup/a';

describeWithCatalogs('what the service keeps', (make) => {
  test('a moment is dealt with once, with its run, whoever comes', async () => {
    await using place = await make();
    await using catalog = await openTestCatalog(place);
    const known = await knownSchedules(catalog, [{ id, spec: 'hourly' }]);
    const beginMs = known.get(id)?.firedUpToMs ?? 0;
    const plannedAtMs = beginMs + 1000;
    const firing = { scheduleId: id, plannedAtMs, missedMs: [beginMs + 1, beginMs + 2], run };
    const fired = await Promise.all([fire(catalog, firing), fire(catalog, firing), fire(catalog, firing)]);
    expect(fired.filter((runId) => runId !== undefined)).toHaveLength(1);
    expect(await runHistory(catalog, { limit: 10 })).toHaveLength(1);
    expect(await countFirings(catalog, id)).toBe(1);
    expect(await hasOpenRun(catalog, { application: 'shop', kind: 'backup', job: 'backup/a' })).toBe(true);
    expect(await hasOpenRun(catalog, { application: 'shop', kind: 'backup', job: 'backup/b' })).toBe(false);
    // The same text changes nothing, another begins anew.
    const again = await knownSchedules(catalog, [{ id, spec: 'hourly' }]);
    expect(again.get(id)?.firedUpToMs).toBe(plannedAtMs);
    const changed = await knownSchedules(catalog, [{ id, spec: 'daily' }]);
    expect(changed.get(id)).toMatchObject({ spec: 'daily', firedUpToMs: expect.any(Number) as number });
    const nowMs = await catalog.nowMs();
    await pauseSchedule(catalog, { id, untilMs: nowMs + 10_000_000 });
    expect((await knownSchedules(catalog, [])).get(id)?.pausedUntilMs).toBe(nowMs + 10_000_000);
    await pauseSchedule(catalog, { id, untilMs: nowMs - 1 });
    expect((await knownSchedules(catalog, [])).get(id)?.pausedAtMs).toBeNull();
    await pauseSchedule(catalog, { id, untilMs: undefined });
    expect(await resumeSchedule(catalog, id)).toBe(true);
    expect((await knownSchedules(catalog, [])).get(id)).toMatchObject({ pausedAtMs: null, pausedUntilMs: null });
  });

  test('a lease has one holder, and each a higher epoch', async () => {
    await using place = await make();
    await using catalog = await openTestCatalog(place);
    const wish = (holder: string) => ({ name: 'journal/shop/database', holder, leaseMs: 300 });
    const asked = await Promise.all(['a', 'b', 'c'].map((holder) => acquireLease(catalog, wish(holder))));
    const [first] = asked.filter((lease) => lease !== undefined);
    if (first === undefined) throw new Error('nobody has it');
    expect(asked.filter((lease) => lease !== undefined)).toHaveLength(1);
    expect(await renewLease(catalog, first, 300)).toBe(true);
    await tellLease(catalog, first, { at: 'here' });
    expect(await leasesWith(catalog, 'journal/shop/')).toMatchObject([{ holder: first.holder, told: '{"at":"here"}' }]);
    await sleep(400);
    const second = await acquireLease(catalog, wish('d'));
    expect(second?.epoch).toBe(2);
    expect(await renewLease(catalog, first, 300)).toBe(false);
    await releaseLease(catalog, first); // It has it no more, so nothing is let go.
    expect(await acquireLease(catalog, wish('e'))).toBeUndefined();
    if (second !== undefined) await releaseLease(catalog, second);
    expect((await acquireLease(catalog, wish('f')))?.epoch).toBe(3);
  });

  test('runs are found by what they are about, page by page, and only where they may be seen', async () => {
    await using place = await make();
    await using catalog = await openTestCatalog(place);
    const ids: string[] = [];
    for (let number = 0; number < 5; number += 1) {
      const application = number % 2 === 0 ? 'shop' : 'crm';
      ids.push(await insertRun(catalog, { ...run, application, component: `c${number}` }));
      await sleep(2); // Ids of one millisecond have no order.
    }
    const newest = ids.toReversed();
    const page = await runHistory(catalog, { limit: 2 });
    expect(page.map((row) => row.id)).toEqual(newest.slice(0, 2));
    const next = await runHistory(catalog, { limit: 9, after: page.at(-1) });
    expect(next.map((row) => row.id)).toEqual(newest.slice(2));
    expect(await runHistory(catalog, { applications: ['crm'], limit: 9 })).toHaveLength(2);
    expect(await runHistory(catalog, { applications: [], limit: 9 })).toEqual([]);
    expect(await runHistory(catalog, { component: 'c3', kind: 'backup', states: ['queued'], limit: 9 })).toHaveLength(
      1,
    );
    expect(await runsByEnding(catalog, ids[0]?.slice(-8) ?? '', 2)).toHaveLength(1);
    expect(await runsByEnding(catalog, '%', 2)).toHaveLength(2);
  });
});
