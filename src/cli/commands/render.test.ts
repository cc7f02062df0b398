// How results read on a terminal of 80 columns. Data in, text out: no repository needed.
import { describe, expect, test } from 'vitest';
import type { Proof } from '../../model/proof.ts';
import { plainStyle } from '../style.ts';
import { backupCommand, type BackupData } from './backup.ts';
import { proveCommand } from './prove.ts';
import type { JournalTrimSummary } from '../journal-trim.ts';
import { renderPrune, type PruneSummary } from './repository-prune.ts';
import { windowText, type RestoreData } from '../restore-report.ts';
import { restoreCommand } from './restore.ts';
import { renderRetention, type RetentionData } from './retention.ts';
import { snapshotsCommand } from './snapshots.ts';
import { verifyCommand, type VerifyData } from './verify.ts';

const style = plainStyle({ nowMs: Date.parse('2026-11-20T12:00:00Z') });
const id = '46c536f7'.padEnd(64, '0');

function widest(text: string): number {
  return Math.max(...text.split('\n').map((line) => line.length));
}

const backedUp: BackupData = {
  isDryRun: false,
  backups: [
    {
      component: 'uploads',
      repository: 'local',
      elapsedMs: 4321,
      result: {
        snapshot: { id, time: '2026-11-20T11:59:00Z' },
        parent: undefined,
        files: { new: 12, changed: 3, unmodified: 1985, failed: 1 },
        totalBytes: 1_500_000_000,
        addedBytes: 52_428_800,
        storedBytes: 20_971_520,
        problems: [{ path: '/srv/uploads/secret', message: 'permission denied' }],
        notes: [{ path: '/globals.sql', message: 'roles without their passwords: app may not read pg_authid' }],
        facts: {},
        anomalies: [],
        fingerprintItems: 0,
      },
    },
    {
      component: 'database',
      repository: 'local',
      elapsedMs: 15_000,
      error: {
        code: 'SOURCE_UNREACHABLE',
        message: 'database postgres at db.internal.example:5432 as backup: connect ECONNREFUSED 10.0.0.5:5432',
        hint: 'Check host and port, and that the server runs.',
        exitCode: 1,
      },
    },
  ],
};

test('a backup tells what was read, what was stored, what was left out and what failed', () => {
  const text = backupCommand.render(backedUp, style);
  expect(text).toMatchInlineSnapshot(`
    "backed up uploads to local as snapshot 46c536f7 in 4.3 s
      read    2,000 files, 1.4 GiB: 12 new, 3 changed, 1985 as before; 1 left out
      stored  20 MiB for 50 MiB of new data
      note: roles without their passwords: app may not read pg_authid; see
        'lifeboat check'
      1 item left out or changed while read:
        /srv/uploads/secret: permission denied
    failed  database to local: database postgres at db.internal.example:5432 as
    backup: connect ECONNREFUSED 10.0.0.5:5432
    hint: Check host and port, and that the server runs."
  `);
  expect(widest(text)).toBeLessThanOrEqual(80);
});

test('a backup with something left out ends with 3, one with a failure by its code, a whole one with 0 whatever its notes', () => {
  const [first, second] = backedUp.backups;
  if (first?.result === undefined || second === undefined) throw new Error('the sample lacks a part');
  expect(backupCommand.exitCode?.(backedUp)).toBe(1);
  expect(backupCommand.exitCode?.({ ...backedUp, backups: [first] })).toBe(3);
  expect(
    backupCommand.exitCode?.({ ...backedUp, backups: [{ ...first, result: { ...first.result, problems: [] } }] }),
  ).toBe(0);
});

const decided: RestoreData = {
  snapshot: { id, time: '2026-11-20T02:00:00Z', component: 'database' },
  target: 'database shop on db.internal.example:5432',
  replaces: 'database shop with 12 tables',
  steps: ['create database shop_restoring', 'feed the dump', 'swap the names, and keep the old one as shop_before'],
  findings: [
    { aspect: 'server version', outcome: 'passed', message: 'PostgreSQL 15.18 takes a dump of 15.18' },
    { aspect: 'disk space', outcome: 'failed', message: '2 GiB to write, 1 GiB free', hint: 'Free some space.' },
  ],
  totalBytes: 2 ** 31,
  repository: 'local',
  unread: [],
  report: undefined,
  elapsedMs: 900,
};

describe('a restore', () => {
  test('shows before it acts what it will do, replace, and what stands against it', () => {
    const text = restoreCommand.render(decided, style);
    expect(text).toMatchInlineSnapshot(`
      "snapshot 46c536f7 of database from 2026-11-20 02:00, 2 GiB
      target   database shop on db.internal.example:5432
      replaces database shop with 12 tables
        1. create database shop_restoring
        2. feed the dump
        3. swap the names, and keep the old one as shop_before
      ok       server version  PostgreSQL 15.18 takes a dump of 15.18
      FAILED   disk space      2 GiB to write, 1 GiB free
                               hint: Free some space.
      nothing was done: --dry-run"
    `);
    expect(widest(text)).toBeLessThanOrEqual(80);
  });

  test('that could not go ahead ends its dry run with 1', () => {
    expect(restoreCommand.exitCode?.(decided)).toBe(1);
    expect(restoreCommand.exitCode?.({ ...decided, findings: [] })).toBe(0);
  });

  test('tells on a terminal within its width what did not come back as it was', () => {
    const path = `/srv/uploads/${'a-folder/'.repeat(6)}a.pdf`;
    const problems = [{ path, message: 'its owner could not be set: the user 4711 may not give files away' }];
    const report = { restored: ['1 file'], bytes: 1, problems };
    const text = restoreCommand.render({ ...decided, report }, plainStyle({ isTerminal: true }));
    expect(widest(text)).toBeLessThanOrEqual(80);
    expect(text).toMatch(/1 item did not come back as it was:\n {4}\/srv\/uploads/);
    expect(text.replaceAll(/\s+/g, '')).toContain(`${path}:itsownercouldnotbeset`);
    expect(restoreCommand.render({ ...decided, report }, style)).toContain(`${path}: its owner`);
  });

  test('tells what came back and what was kept', () => {
    const report = {
      restored: ['database shop: 12 tables, 200,000 rows'],
      kept: 'database shop_before; drop it when you are sure',
      bytes: 1,
      problems: [],
    };
    const text = restoreCommand.render({ ...decided, report }, style);
    expect(widest(text)).toBeLessThanOrEqual(80);
    expect(text).toMatchInlineSnapshot(`
      "restored snapshot 46c536f7 to database shop on db.internal.example:5432 in 0.9 s
        database shop: 12 tables, 200,000 rows
        kept: database shop_before; drop it when you are sure"
    `);
  });
});

const proof: Proof = {
  version: 1,
  component: 'database',
  tree: id,
  snapshot: id,
  time: '2026-11-20T12:00:00Z',
  outcome: 'failed',
  message: '1 difference, the first: shop.public.orders has 499 rows instead of 500',
  sandbox: 'PostgreSQL 15.18 at 127.0.0.1:40123',
  durationSeconds: 8.25,
  restoredBytes: 4_000_000,
  compared: 12,
  rows: 200_000,
  differences: [{ name: 'shop.public.orders', kind: 'changed', rowsExpected: 500, rowsFound: 499 }],
  checks: [{ check: 'select count(*) from users', outcome: 'passed', value: '41' }],
  program: 'lifeboat 0.1.0',
};

test('a window is rounded into itself, so that both ends can be asked for, unless nothing would be left of it', () => {
  const at = (seconds: number): number => Date.parse('2026-11-20T12:00:00Z') * 1000 + seconds * 1_000_000;
  const from = { position: '0/1', timeUs: at(0.5) };
  expect(windowText({ from, to: { position: '0/2', timeUs: at(61.9) } }, style)).toBe(
    '2026-11-20 12:00:01+00:00 (0/1) to 2026-11-20 12:01:01+00:00 (0/2)',
  );
  expect(windowText({ from, to: { position: '0/2', timeUs: at(0.75) } }, style)).toBe(
    '2026-11-20 12:00:00.500000+00:00 (0/1) to 2026-11-20 12:00:00.750000+00:00 (0/2)',
  );
  expect(windowText({ from, to: { position: '0/2' } }, style)).toBe('2026-11-20 12:00:01+00:00 (0/1) to 0/2');
});

test('a proof names each difference, and decides the exit code', () => {
  expect(proveCommand.render({ proofs: [proof], unread: [] }, style)).toMatchInlineSnapshot(`
    "failed  database, snapshot 46c536f7, in 8.3 s
      1 difference, the first: shop.public.orders has 499 rows instead of 500
      restored 3.8 MiB into PostgreSQL 15.18 at 127.0.0.1:40123
      passed  select count(*) from users: 41
    Difference  Item                Expected  Found
    changed     shop.public.orders       500    499"
  `);
  expect(proveCommand.exitCode?.({ proofs: [proof, { ...proof, outcome: 'inconclusive' }], unread: [] })).toBe(20);
  expect(proveCommand.exitCode?.({ proofs: [{ ...proof, outcome: 'inconclusive' }], unread: [] })).toBe(21);
  expect(proveCommand.exitCode?.({ proofs: [{ ...proof, outcome: 'passed' }], unread: [] })).toBe(0);
});

const pruned: PruneSummary = {
  isDryRun: false,
  packs: { kept: 40, repacked: 3, removed: 12, unindexed: 1 },
  bytes: {
    used: 600_000_000,
    unused: 210_000_000,
    unindexed: 1_000_000,
    repacked: 48_000_000,
    freed: 200_000_000,
    unusedAfter: 11_000_000,
  },
};

const server = 'postgresql/7394000000000000001';
const trimmed: JournalTrimSummary = {
  isDryRun: false,
  freedBytes: 251_658_240,
  branches: [
    {
      lineage: `${server}/00000001`,
      standing: 'passed',
      removed: { segments: 15, first: 3, last: 17, storedBytes: 251_658_240 },
      kept: { segments: 1, first: 18, last: 18, storedBytes: 4_000_000 },
      keptBy: { id, time: '2026-11-20T02:00:00Z', component: 'database' },
    },
    {
      lineage: `${server}/00000002-4f1c22ab90de`,
      standing: 'led-to',
      removed: { segments: 1, first: 18, last: 18, storedBytes: 6_000_000 },
      kept: { segments: 25, first: 19, last: 43, storedBytes: 432_000_000 },
      keptBy: { id, time: '2026-11-20T02:00:00Z', component: 'database' },
    },
    {
      lineage: `${server}/00000003-90de4f1c22ab`,
      standing: 'none',
      removed: undefined,
      kept: { segments: 12, first: 10, last: 21, storedBytes: 201_326_592 },
      keptBy: undefined,
    },
    {
      lineage: 'other/1',
      standing: 'led-to',
      removed: undefined,
      kept: { segments: 2, first: 1, last: 2, storedBytes: 100 },
      keptBy: { id, time: '2026-11-20T02:00:00Z', component: 'database' },
    },
    {
      lineage: 'other/2',
      standing: 'unknown',
      removed: undefined,
      kept: { segments: 2, first: 1, last: 2, storedBytes: 100 },
      keptBy: undefined,
    },
  ],
  problems: [],
};

test('retention tells of each snapshot why it stays', () => {
  const data: RetentionData = {
    isDryRun: false,
    repositories: [
      {
        repository: 'local',
        snapshots: [
          {
            id: id as never,
            time: '2026-11-20T02:00:00Z',
            component: 'database',
            keep: true,
            reasons: ['daily snapshot', 'weekly snapshot', 'monthly snapshot'],
            isFrozen: false,
          },
          {
            id: id as never,
            time: '2026-11-13T02:00:00Z',
            component: 'database',
            keep: true,
            reasons: ['newest proven recovery point'],
            isFrozen: false,
          },
          {
            id: id as never,
            time: '2026-11-12T02:00:00Z',
            component: 'database',
            keep: false,
            reasons: [],
            isFrozen: false,
          },
        ],
        journals: trimmed,
        prune: pruned,
      },
    ],
  };
  const text = renderRetention(data, style);
  expect(text).toMatchInlineSnapshot(`
    "repository local
            ID        Time              Component  Why
    keep    46c536f7  2026-11-20 02:00  database   daily snapshot, weekly snapshot,
                                                   monthly snapshot
    keep    46c536f7  2026-11-13 02:00  database   newest proven recovery point
    remove  46c536f7  2026-11-12 02:00  database
    removed 1 snapshot, 2 stay
    journal postgresql/7394000000000000001/00000001
      removed segments 3 to 17 (240 MiB); 3.8 MiB stay
    journal postgresql/7394000000000000001/00000002-4f1c22ab90de
      removed segment 18 (5.7 MiB); 412 MiB stay, from snapshot 46c536f7 on
    journal postgresql/7394000000000000001/00000003-90de4f1c22ab
      192 MiB stay, though no snapshot leads to it: back up what it belongs to, or
      remove it with 'lifeboat repository prune --drop-journal <its name>'
    journal other/2
      100 B stay: it does not say which journals it grew out of
    freed 190.7 MiB of 773.4 MiB; 10.5 MiB of unused data stays
      removed 12 packs and 1 leftover, repacked 3 packs (45.8 MiB), 40 stay"
  `);
  expect(widest(text)).toBeLessThanOrEqual(80);
});

test('a list of snapshots tells all paths and tags', () => {
  const listed = {
    id,
    time: '2026-11-20T02:00:00Z',
    component: 'uploads',
    host: 'shop',
    paths: ['/srv/shop/uploads', '/srv/shop/media'],
    tags: ['component=uploads', 'before-release', 'checked-by-hand'],
    description: undefined,
    sizeBytes: 3_984_588,
    storedBytes: 1000,
    tree: id,
    proof: undefined,
    verifications: [],
  };
  const text = snapshotsCommand.render(
    { repositories: [{ name: 'local', location: '/srv/repo', snapshots: [listed] }] },
    style,
  );
  expect(text).toMatchInlineSnapshot(`
    "ID        Time              Component     Size  What
    46c536f7  2026-11-20 02:00  uploads    3.8 MiB  /srv/shop/uploads,
                                                    /srv/shop/media [before-release,
                                                    checked-by-hand]
    1 snapshot"
  `);
  expect(widest(text)).toBeLessThanOrEqual(80);
});

test('a dry prune says would', () => {
  expect(renderPrune({ ...pruned, isDryRun: true })).toMatchInlineSnapshot(`
    "would free 190.7 MiB of 773.4 MiB; 10.5 MiB of unused data stays
      would remove 12 packs and 1 leftover, would repack 3 packs (45.8 MiB), 40 stay"
  `);
});

test('a verification names the damaged file, whole', () => {
  const counts = {
    keys: 1,
    indexes: 2,
    packs: 40,
    blobs: 9000,
    usedBlobs: 8000,
    snapshots: 14,
    trees: 300,
    locks: 0,
    journalObjects: 5,
  };
  const data: VerifyData = {
    repositories: [
      {
        repository: 'local',
        level: 'data',
        malformed: [],
        elapsedMs: 61_000,
        findings: [{ where: `data/46/${id}`, message: 'its content does not fit its name', severity: 'error' }],
        errors: 1,
        notes: 2,
        counts: { ...counts, packsToRead: 40, packsRead: 40, bytesRead: 600_000_000 },
      },
    ],
    failed: [],
  };
  const text = verifyCommand.render(data, style);
  expect(text).toMatchInlineSnapshot(`
    "repository local: DAMAGED: 1 error, in 1m 1s
      14 snapshots, 300 trees, 40 packs, 9,000 blobs
      5 journal objects
      read 572.2 MiB in 40 of 40 packs
      error
      data/46/46c536f700000000000000000000000000000000000000000000000000000000: its
      content does not fit its name
      2 notes that cost no data (--verbose shows them)
    hint: Copy the files named back from another repository; 'lifeboat repository
    rebuild-index' repairs a lost index."
  `);
  expect(text.replaceAll(/\s/g, '')).toContain(id);
  expect(widest(text)).toBeLessThanOrEqual(80);
  expect(verifyCommand.exitCode?.(data)).toBe(20);
});
