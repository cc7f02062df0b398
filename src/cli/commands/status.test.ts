import { describe, expect, test } from 'vitest';
import type { StandbyRecord } from '../../operations/standby/standby-record.ts';
import { plainStyle } from '../style.ts';
import { nextSteps } from './start.ts';
import { renderStatus, rpoState, statusCommand, type StatusData } from './status.ts';

const hourMs = 3_600_000;
const nowMs = Date.parse('2026-11-20T12:00:00Z');
const style = plainStyle({ nowMs });

const good: StatusData = {
  application: 'shop',
  components: [
    {
      name: 'database',
      tier: 'P0',
      snapshots: 14,
      newest: { id: 'a'.repeat(64), time: '2026-11-20T09:48:00Z', repository: 'local' },
      journal: undefined,
      isJournalWanted: false,
      freshest: 'snapshot',
      ageMs: 2.2 * hourMs,
      rpoMs: 24 * hourMs,
      rpo: 'met',
      rtoMs: undefined,
      rto: 'none',
      restore: undefined,
      sizeBytes: 1_500_000_000,
      proof: { outcome: 'passed', time: '2026-11-19T12:00:00Z', message: '12 items came back' },
      anomalies: [],
      verified: undefined,
    },
  ],
  standbys: [],
  repositories: [
    {
      name: 'local',
      location: '/srv/backups',
      snapshots: 14,
      storedBytes: 1e9,
      verifications: [
        { level: 'structure', time: '2026-11-20T10:00:00Z' },
        { level: 'data', time: '2026-11-18T08:00:00Z' },
      ],
      unreadableProofs: [],
      problem: undefined,
    },
  ],
};
const [database] = good.components;
if (database === undefined) throw new Error('the sample lacks its component');
const late: StatusData = {
  ...good,
  components: [
    { ...database, rpo: 'breached', proof: undefined },
    {
      ...database,
      name: 'a-component-with-quite-a-long-name',
      newest: undefined,
      ageMs: undefined,
      rpo: 'unknown',
      snapshots: 0,
    },
  ],
  repositories: [
    {
      name: 'offsite',
      location: 's3://bucket/app',
      snapshots: undefined,
      storedBytes: undefined,
      verifications: [],
      unreadableProofs: [],
      problem: 'no answer',
    },
  ],
};

describe('rpoState', () => {
  test('is unknown, not breached, while a repository that may hold something newer was not read', () => {
    expect(rpoState({ ageMs: 2 * hourMs, rpoMs: hourMs, isComplete: false })).toBe('unknown');
    expect(rpoState({ ageMs: 2 * hourMs, rpoMs: hourMs, isComplete: true })).toBe('breached');
    expect(rpoState({ ageMs: undefined, rpoMs: hourMs, isComplete: true })).toBe('breached');
  });

  test('is met by what was seen, whatever was not', () => {
    expect(rpoState({ ageMs: hourMs, rpoMs: hourMs, isComplete: false })).toBe('met');
  });

  test('is none where nothing was promised', () => {
    expect(rpoState({ ageMs: undefined, rpoMs: undefined, isComplete: true })).toBe('none');
  });
});

describe('status', () => {
  test('shows the newest backup, the promise and the proof of each component', () => {
    expect(renderStatus(good, style)).toMatchInlineSnapshot(`
      "shop

      Component  Newest      RPO     Proven            Size  Snapshots
      database   2h 12m ago  met 1d  passed 1d ago  1.4 GiB         14

      repository local: 14 snapshots at /srv/backups
        verified: structure 2h ago, all data 2d 4h ago"
    `);
  });

  test('shows what is unknown as unknown, within 80 columns', () => {
    const text = renderStatus(late, style);
    expect(text).toMatchInlineSnapshot(`
      "shop

      Component             Newest      RPO          Proven            Size  Snapshots
      database              2h 12m ago  breached 1d  never          1.4 GiB         14
      a-component-with-qui  none        unknown 1d   passed 1d ago  1.4 GiB          0
      te-a-long-name

      repository offsite: unknown: no answer"
    `);
    for (const line of text.split('\n')) expect(line.length).toBeLessThanOrEqual(80);
  });

  test('counts the journal where it leads further than the newest snapshot, and says where a gap ends it', () => {
    const reach = {
      repository: 'local',
      branch: 'timeline 1',
      position: '0/5000060',
      untilMs: nowMs - 4000,
      isSeen: true,
      receiver: 'here' as const,
      missing: undefined,
    };
    const missing = 'changes of timeline 1 from 0/5000000 to 0/7000000';
    const cut = { ...reach, untilMs: nowMs - 3 * hourMs, isSeen: false, missing };
    const components = [
      { ...database, journal: reach, freshest: 'journal' as const, ageMs: 4000, rpoMs: 60_000 },
      { ...database, name: 'other', journal: cut },
      { ...database, name: 'new', isJournalWanted: true },
    ];
    const text = renderStatus({ ...good, components, repositories: [] }, style);
    expect(text).toMatchInlineSnapshot(`
      "shop

      Component  Newest             RPO     Proven            Size  Snapshots
      database   just now, journal  met 1m  passed 1d ago  1.4 GiB         14
      other      2h 12m ago         met 1d  passed 1d ago  1.4 GiB         14
      new        2h 12m ago         met 1d  passed 1d ago  1.4 GiB         14
      journal of database in local: to 0/5000060 on timeline 1, 4s ago; the server had
      nothing more then
      journal of other in local: to 0/5000060 on timeline 1, 3h ago; behind it changes
      of timeline 1 from 0/5000000 to 0/7000000 are missing, so nothing later can be
      recovered: take a full backup
      journal of new: nothing leads on from a backup: it takes a physical one, and
      'lifeboat journal run new'

      "
    `);
    for (const line of text.split('\n')) expect(line.length).toBeLessThanOrEqual(80);
  });

  test('tells of the standbys of this machine how far they are, and of those that are wanted that they are not there', () => {
    const record: StandbyRecord = {
      version: 1,
      folder: '/srv/standby',
      repository: 'local',
      pid: 7,
      writtenAtMs: nowMs - 1000,
      phase: 'following',
      replayed: { position: '0/5000060', timeUs: (nowMs - 3000) * 1000 },
      lagBytes: 0,
      ageMs: 2000,
      proof: { outcome: 'passed', time: '2026-11-20T11:30:00Z', message: '12 items came back' },
    };
    const common = { isWanted: true, isRunning: true };
    const standbys = [
      { ...common, component: 'database', record },
      {
        ...common,
        component: 'late',
        record: { ...record, phase: 'waiting' as const, problem: 'no answer', lagBytes: 4096 },
      },
      { ...common, component: 'gone', isRunning: false, record: { ...record, writtenAtMs: nowMs - hourMs } },
      { ...common, component: 'wanted', isRunning: false, record: undefined },
    ];
    const text = renderStatus({ ...good, components: [], standbys, repositories: [] }, style);
    expect(text).toMatchInlineSnapshot(`
      "shop

      no components, and no snapshots
      standby of database: following, at 0/5000060, has all of the journal, as of 3s
      ago, compared: passed 30m ago
      standby of late: waiting, at 0/5000060, 4 KiB behind the journal, as of 3s ago,
      no answer, compared: passed 30m ago
      standby of gone: stopped 1h ago, at 0/5000060, as of 1h ago, compared: passed
      30m ago
      standby of wanted: never ran here

      "
    `);
    for (const line of text.split('\n')) expect(line.length).toBeLessThanOrEqual(80);
  });

  test('exits with 20 for a newest proof that failed and with 21 for one that told nothing, and says why and what to do', () => {
    const proof = { outcome: 'failed', time: '2026-11-19T12:00:00Z', message: '3 rows are missing' } as const;
    const withProof = (change: object): StatusData => ({
      ...good,
      components: [{ ...database, proof: { ...proof, ...change } }],
    });
    expect(statusCommand.exitCode?.(withProof({}))).toBe(20);
    expect(statusCommand.exitCode?.(withProof({ outcome: 'inconclusive' }))).toBe(21);
    expect(statusCommand.exitCode?.({ ...late, components: [...late.components, ...withProof({}).components] })).toBe(
      30,
    );
    const text = statusCommand.render(withProof({}), style);
    expect(text.split('\n').slice(-4).join('\n')).toMatchInlineSnapshot(`
      "
      the last proof of database failed on 2026-11-19 12:00 UTC: 3 rows are missing
      hint: Mend the cause and run 'lifeboat prove database'; until then restore with
      --from latest-proven."
    `);
    expect(statusCommand.render(good, style)).toBe(renderStatus(good, style));
  });

  test('says how long a restore took against what was promised, and exits with 31 where it took longer', () => {
    const restore = { lastMs: 61_000, atMs: nowMs, forecast: { lowMs: 58_000, highMs: 90_000, restores: 3 } };
    const slow = { ...good, components: [{ ...database, rtoMs: 60_000, rto: 'breached', restore } as const] };
    expect(renderStatus(slow, style)).toContain(
      'RTO of database breached 1m: restored and compared in 1m 1s; to be expected:\n58.0 s to 1m 30s\n',
    );
    expect(statusCommand.exitCode?.(slow)).toBe(31);
    const never = { ...good, components: [{ ...database, rtoMs: 60_000, rto: 'unknown' } as const] };
    expect(renderStatus(never, style)).toContain("RTO of database unknown 1m: 'lifeboat prove database' measures it");
    expect(statusCommand.exitCode?.(never)).toBe(0);
  });

  test('exits with 30 for a breach, with 21 for what is unknown, else with 0', () => {
    expect(statusCommand.exitCode?.(good)).toBe(0);
    expect(statusCommand.exitCode?.(late)).toBe(30);
    expect(statusCommand.exitCode?.({ ...good, repositories: late.repositories })).toBe(21);
  });
});

describe('the next steps', () => {
  test('begin with what is most urgent', () => {
    expect(nextSteps(late, './lifeboat.yaml').map(({ command }) => command)).toEqual([
      'lifeboat check',
      'lifeboat backup',
      'lifeboat backup',
      'lifeboat prove',
    ]);
  });

  test('say what to write where no component is protected', () => {
    const [step, ...more] = nextSteps({ ...good, components: [] }, '/srv/lifeboat.yaml');
    expect(step?.command).toBe('edit /srv/lifeboat.yaml');
    expect(step?.why).toContain('no components yet');
    expect(step?.why).toContain('components: { uploads: { type: files, paths: [./uploads] } }');
    expect(more).toEqual([]);
  });

  test('say that the last proof failed, and when, and do not call that never proven', () => {
    const proof = { outcome: 'failed' as const, time: '2026-11-19T12:00:00Z', message: '3 rows are missing' };
    expect(nextSteps({ ...good, components: [{ ...database, proof }] }, './lifeboat.yaml')).toEqual([
      {
        command: 'lifeboat prove database',
        why: 'the last proof of database failed on 2026-11-19 12:00 UTC: 3 rows are missing',
      },
    ]);
  });

  test('ask for nothing where all is backed up and proven', () => {
    expect(nextSteps(good, './lifeboat.yaml').map(({ command }) => command)).toEqual(['lifeboat status']);
  });
});
