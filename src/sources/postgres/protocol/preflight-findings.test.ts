import { expect, test } from 'vitest';
import { managedFinding, replicationFindings, type ReplicationState } from './preflight-findings.ts';

const good: ReplicationState = {
  version: '18.4',
  major: 18,
  isStandby: false,
  walLevel: 'replica',
  sendersMax: 10,
  sendersInUse: 1,
  isAskedBySender: true,
  slotsMax: 10,
  slotsInUse: 0,
  slotLimit: '64GB',
  fullPageWrites: 'on',
  dataChecksums: 'on',
  summarizeWal: 'on',
  synchronousStandbyNames: '',
  applicationName: 'lifeboat_wal_and_base_backup',
};

function findingOf(aspect: string, changes: Partial<ReplicationState>) {
  const findings = replicationFindings({ ...good, ...changes });
  const [finding, ...more] = findings.filter((one) => one.aspect === aspect);
  expect(more).toEqual([]);
  // Nothing else changes its mind.
  const others = findings.filter((one) => one.aspect !== aspect && one.outcome !== 'passed');
  return { ...finding, others: others.map((one) => one.aspect) };
}

test('a server that has everything passes in every aspect', () => {
  const findings = replicationFindings(good);
  expect(findings.map(({ outcome }) => outcome)).toEqual(Array(9).fill('passed'));
  expect(new Set(findings.map(({ aspect }) => aspect)).size).toBe(9);
});

test.each<readonly [aspect: string, changes: Partial<ReplicationState>, outcome: string, hint: RegExp]>([
  ['server version', { version: '13.2', major: 13, summarizeWal: undefined }, 'failed', /method: logical/],
  ['server version', { version: '14.23', major: 14, summarizeWal: undefined }, 'warning', /upgrade/],
  ['server version', { version: '19.0', major: 19 }, 'failed', /method: logical/],
  ['wal_level', { walLevel: 'minimal' }, 'failed', /SET wal_level = replica; and restart/],
  ['wal senders', { sendersMax: 4, sendersInUse: 4 }, 'warning', /max_wal_senders = 10;/],
  ['wal senders', { sendersMax: 4, sendersInUse: 5 }, 'failed', /max_wal_senders = 10;/],
  ['wal senders', { sendersMax: 30, sendersInUse: 30, isAskedBySender: false }, 'failed', /max_wal_senders = 34;/],
  ['replication slots', { slotsMax: 5, slotsInUse: 4 }, 'warning', /max_replication_slots = 10;/],
  ['replication slots', { slotsMax: 12, slotsInUse: 12 }, 'warning', /max_replication_slots = 16;/],
  ['replication slots', { slotsMax: 0, slotsInUse: undefined }, 'warning', /max_replication_slots/],
  ['slot limit', { slotLimit: '-1' }, 'warning', /max_slot_wal_keep_size = '64GB'; SELECT pg_reload_conf\(\);/],
  ['full_page_writes', { fullPageWrites: 'off' }, 'warning', /full_page_writes = on; SELECT pg_reload_conf/],
  ['data checksums', { dataChecksums: 'off' }, 'passed', /^$/],
  ['wal summaries', { summarizeWal: 'off' }, 'warning', /SET summarize_wal = on; SELECT pg_reload_conf\(\);$/],
  ['synchronous standbys', { synchronousStandbyNames: 'ANY 1 (*)' }, 'warning', /lifeboat_wal_and_base_backup/],
  ['synchronous standbys', { synchronousStandbyNames: 'other' }, 'passed', /^$/],
  ['wal_level', { walLevel: undefined }, 'inconclusive', /superuser/],
  ['slot limit', { slotLimit: undefined }, 'inconclusive', /superuser/],
])('%s of %j is %s', (...row) => {
  const [aspect, changes, outcome, hint] = row;
  expect(findingOf(aspect, changes)).toMatchObject({ outcome, others: [] });
  expect(findingOf(aspect, changes).hint ?? '').toMatch(hint);
});

test('a server without wal senders for want of wal_level is told to change both', () => {
  const state = { walLevel: 'minimal', sendersMax: 0, sendersInUse: undefined, isAskedBySender: false };
  expect(findingOf('wal_level', state)).toMatchObject({
    hint: 'Run as a superuser: ALTER SYSTEM SET wal_level = replica; ALTER SYSTEM SET max_wal_senders = 10; and restart the server.',
    others: ['wal senders'],
  });
});

test('summaries are no affair of servers before 17', () => {
  expect(findingOf('wal summaries', { version: '16.1', major: 16, summarizeWal: undefined })).toEqual({ others: [] });
});

test('a managed service is named, any other server is not', () => {
  expect(managedFinding(['rds_superuser'])).toMatchObject({
    outcome: 'failed',
    message: expect.stringContaining('Amazon RDS'),
    hint: expect.stringContaining('method: logical'),
  });
  expect(managedFinding([])).toBe(undefined);
});
