import { describe, expect, it } from 'vitest';
import { plainStyle } from '../cli/style.ts';
import type { Noticed } from './noticing.ts';
import { closingWords, failuresOf, renderReport, type DemoReport, type Recovery } from './report.ts';

const uploads: Recovery = {
  component: 'uploads',
  unit: 'file',
  before: 1_200,
  lost: 1_100,
  back: 1_100,
  seconds: 1.25,
  restoredBytes: 70_000_000,
  kept: undefined,
  differences: [],
  comparedBy: 'hashes',
  compared: 1_200,
};

const backup = {
  component: 'uploads',
  snapshot: 'a'.repeat(64),
  files: { new: 1_200, changed: 0, unmodified: 0 },
  totalBytes: 70_000_000,
  addedBytes: 70_000_000,
  storedBytes: 35_000_000,
  seconds: 2,
  problems: [],
};

const proof = {
  component: 'uploads',
  outcome: 'passed',
  message: 'fine',
  rows: 1_200,
  durationSeconds: 1,
  sandbox: 'x',
} as const;

const mail = (subject: string, seconds: number): Noticed => ({ subject, path: '/m/001.eml', receivedMs: 0, seconds });

function reportOf(changes: Partial<DemoReport> = {}): DemoReport {
  const story = {
    backups: { first: [backup], second: [{ ...backup, addedBytes: 1_000, storedBytes: 0 }] },
    proofs: [proof],
    recoveries: [uploads],
    journal: undefined,
    alert: { noticed: mail('[CRITICAL] shop', 2.5), resolved: mail('[RESOLVED] shop', 9) },
    ...changes,
  };
  return {
    folder: '/home/someone/with/a/long/name/and/many/folders/lifeboat-demo',
    servers: { postgres: undefined, redis: undefined },
    leftOut: [{ what: 'Redis', reason: 'there is no program redis-server', hint: 'Install the package redis-server.' }],
    recoverySeconds: 3,
    repository: { path: '/r', passwordFile: '/p', sizeBytes: 36_000_000 },
    commands: [{ command: '../bin/lifeboat.js status', purpose: 'what could be recovered now' }],
    elapsedSeconds: 20,
    ...story,
    failures: failuresOf(story),
  };
}

describe('failuresOf', () => {
  it.each([
    [
      'a proof that did not pass',
      { proofs: [{ ...proof, outcome: 'inconclusive' as const }] },
      /proof of uploads inconclusive/,
    ],
    [
      'a file that did not come back',
      { recoveries: [{ ...uploads, back: 1_099 }] },
      /1,100 files lost, 1,099 files came back/,
    ],
    [
      'data that differ from the backup',
      { recoveries: [{ ...uploads, differences: ['/a is changed'] }] },
      /uploads: \/a is changed/,
    ],
    ['a disaster that destroyed nothing', { recoveries: [{ ...uploads, lost: 0, back: 0 }] }, /destroyed nothing/],
    [
      'a backup that left something out',
      { backups: { first: [{ ...backup, problems: ['/b: EACCES'] }], second: [] } },
      /\/b: EACCES/,
    ],
  ])('names %s, and the report says it aloud', (_, changes, pattern) => {
    const report = reportOf(changes);
    expect(report.failures).toEqual([expect.stringMatching(pattern)]);
    const text = renderReport(report, plainStyle());
    expect(text).toContain('NOT EVERYTHING IS AS IT WAS: 1 failure');
    expect(text).not.toContain('Everything that was lost came back');
  });
});

describe('renderReport of a shop with a database', () => {
  const journal = {
    instant: '2026-11-20T10:15:00.123456Z',
    intervalMs: 1_000,
    ordersSinceBackup: 1_300,
    ordersLost: 0,
    lossWindow: { commits: 600, longestMs: 1_240, meanMs: 700 },
  };

  it('says what a nightly dump would have lost, and how long a commit was at the server alone', () => {
    const text = renderReport(reportOf({ journal }), plainStyle());
    expect(text.split('\n\n')[1]).toMatchInlineSnapshot(`
      "Orders since the last backup that a nightly dump would have lost: 1,300, lost:
      0.
      Loss window: each of 600 commits was in the repository after 1.2 s at the
      latest, 0.7 s on average. So much the loss of the whole machine would have cost."
    `);
    expect(Math.max(...text.split('\n').map((line) => line.length))).toBeLessThanOrEqual(80);
  });

  it.each([
    ['an order that is lost', { ordersLost: 1 }, /1 order of 1300 after the last backup lost/],
    ['that there was no order to lose', { ordersSinceBackup: 0 }, /no order came in after the last backup/],
  ])('says aloud %s', (_, changes, pattern) => {
    const report = reportOf({ journal: { ...journal, ...changes } });
    expect(report.failures).toEqual([expect.stringMatching(pattern)]);
    expect(renderReport(report, plainStyle())).toContain('NOT EVERYTHING IS AS IT WAS: 1 failure');
  });
});

describe('renderReport', () => {
  it('shows what was lost and came back, what was left out, and the commands, within 80 columns', () => {
    const text = renderReport(reportOf(), plainStyle());
    expect(text).toMatchInlineSnapshot(`
      "
      Component  Lost                  Came back   Time  Restored    Ratio
      uploads    1,100 of 1,200 files      1,100  1.3 s  66.8 MiB  4.0 : 1

      Noticed by the server itself, and in the mailbox of whoever is on call, 2.5 s
      after the disaster; the all-clear came 9.0 s after it. Both lie in mail, what
      was measured in report.json.

      Ratio: data of both backups, to what the repository keeps of it, encrypted. In
      all 133.5 MiB are kept in 34.3 MiB on disk. The second backup found 1000 B new
      in 66.8 MiB and stored 0 B.

      Left out: Redis: there is no program redis-server
      hint: Install the package redis-server.

      Everything that was lost came back, compared with what was there, in 3.0 s; the
      whole demonstration took 20.0 s.

      The servers are stopped. The backups stay in
      /home/someone/with/a/long/name/and/many/folders/lifeboat-demo, with their
      password; the next run makes them anew. Try:

        ../bin/lifeboat.js status
            what could be recovered now"
    `);
    expect(Math.max(...text.split('\n').map((line) => line.length))).toBeLessThanOrEqual(80);
  });

  it('ends within 80 columns, too, where its folder has a long name', () => {
    const folder = '/home/someone/with/a/long/name/lifeboat-demo';
    expect(closingWords(folder, plainStyle()).split('\n')).toEqual([
      'The servers are stopped. The backups stay in',
      `${folder}.`,
    ]);
  });
});
