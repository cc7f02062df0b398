import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { formatTime, parseTime } from '../../repository/go-text.ts';
import type { BlobId, SnapshotId } from '../../repository/ids.ts';
import type { StoredSnapshot } from '../../repository/snapshot.ts';
import { selectPoint, type PointRequest } from './select-point.ts';

interface Brief {
  readonly id: string;
  readonly time: string;
  readonly tree?: string;
  readonly component?: string;
  readonly tags?: readonly string[];
}

const snapshot = ({ id, time, tree = 'f', component, tags = [] }: Brief): StoredSnapshot => ({
  id: id.padEnd(64, '0') as SnapshotId,
  time,
  tree: tree.padEnd(64, '0') as BlobId,
  tags,
  paths: ['/x'],
  hostname: 'shop',
  username: 'u',
  uid: 0,
  gid: 0,
  excludes: [],
  program_version: 'test',
  ...(component !== undefined && { lifeboat: { component } }),
});

const history = [
  { id: 'aaaa1', time: '2026-11-18T23:30:00Z', tree: '1', component: 'database' },
  { id: 'aaaa2', time: '2026-11-20T01:00:00+02:00', tree: '2', component: 'cache' }, // 23:00 of the 19th in UTC.
  { id: 'bbbb1', time: '2026-11-19T23:00:00.000000001Z', tree: '3', component: 'database' },
  { id: 'cccc1', time: '2026-11-20T10:15:00Z', tree: '4', tags: ['nightly', 'component=database'] },
].map(snapshot);

const eldest = snapshot({ id: 'eeee1', time: '1999-12-31T00:00:00Z' });

function selected(from: string, options: { component?: string; host?: string; proven?: string } = {}): string {
  const { proven = '', ...rest } = options;
  const request: PointRequest = { from, ...rest };
  return selectPoint(history, request, (tree) => proven !== '' && tree.startsWith(proven)).id.replace(/0+$/, '');
}

describe('a recovery point named', () => {
  test.each([
    ['latest', {}, 'cccc1'],
    ['latest', { component: 'cache' }, 'aaaa2'],
    ['latest', { component: 'database' }, 'cccc1'],
    ['latest-proven', { proven: '2' }, 'aaaa2'],
    ['latest-proven', { component: 'database', proven: '1' }, 'aaaa1'],
    ['bbbb', {}, 'bbbb1'],
    ['aaaa', { component: 'cache' }, 'aaaa2'],
    ['aaaa1'.padEnd(64, '0'), {}, 'aaaa1'],
    ['before:2026-11-20T10:15:00Z', {}, 'bbbb1'],
    ['before:2026-11-20T10:15:00.001Z', {}, 'cccc1'],
    ['before:2026-11-20T11:15:01+01:00', {}, 'cccc1'],
    ['before:2026-11-20T11:15:00+01:00', {}, 'bbbb1'],
    ['before:2026-11-20 11:15:00+01:00', {}, 'bbbb1'],
    ['before:2026-11-19T23:00:00.000000001Z', {}, 'aaaa2'],
    ['before:2026-11-19T23:00:00.000000002Z', {}, 'bbbb1'],
    ['before:2026-11-19T23:00Z', {}, 'aaaa1'],
    ['before:2030-01-01', {}, 'cccc1'],
    ['before:2030-01-01 00:00', { component: 'cache' }, 'aaaa2'],
    ['latest', { component: 'database', host: 'shop' }, 'cccc1'],
    ['bbbb', { component: 'database', host: 'blog' }, 'bbbb1'], // An id is one snapshot.
    ['bbbb', { host: 'blog' }, 'bbbb1'],
    ['latest', { host: 'shop' }, 'cccc1'],
  ] as [string, { component?: string; host?: string; proven?: string }, string][])(
    "'%s' with %j is %s",
    (from, options, id) => {
      expect(selected(from, options)).toBe(id);
    },
  );

  test('before a time without a zone means this machine’s', () => {
    const local = new Date(2026, 10, 20, 0, 0, 0);
    const limit = parseTime(formatTime(BigInt(local.getTime()) * 1_000_000n));
    const expected = history.findLast(({ time }) => parseTime(time) < limit);
    for (const text of ['2026-11-20', '2026-11-20 00:00', '2026-11-20T00:00:00'])
      expect(selected(`before:${text}`)).toBe(expected?.id.replace(/0+$/, ''));
  });

  test('before a time is one that was read by then, also where it is dated otherwise', () => {
    const summary = { backup_start: '2026-11-20T12:00:00Z', backup_end: '2026-11-20T12:05:00Z' };
    const long = { ...snapshot({ id: 'dddd1', time: '2026-11-20T11:00:00Z' }), summary } as unknown as StoredSnapshot;
    const before = (time: string): string =>
      selectPoint([...history, long], { from: `before:${time}` }, () => false).id.slice(0, 5);
    expect(before('2026-11-20T11:05:00Z')).toBe('cccc1');
    expect(before('2026-11-20T11:05:00.001Z')).toBe('dddd1');
  });

  test.each([
    ['latest-proven', {}, 'NOT_FOUND'],
    ['latest', { component: 'uploads' }, 'NOT_FOUND'],
    ['latest', { component: 'database', host: 'blog' }, 'NOT_FOUND'],
    ['latest', { host: 'blog' }, 'NOT_FOUND'],
    ['before:2030-01-01', { host: 'blog' }, 'NOT_FOUND'],
    ['before:2020-01-01', {}, 'NOT_FOUND'],
    ['aaaa', {}, 'AMBIGUOUS'],
    ['aaaa', { component: 'uploads' }, 'NOT_FOUND'],
    ['bbb', {}, 'NOT_FOUND'],
    ['BBBB', {}, 'NOT_FOUND'],
    ['dddd', {}, 'NOT_FOUND'],
    ['', {}, 'NOT_FOUND'],
    ['before:', {}, 'USAGE'],
    ['before:yesterday', {}, 'USAGE'],
    ['before:20', {}, 'USAGE'],
    ['before:2026-13-01', {}, 'USAGE'],
    ['before:2026-02-30', {}, 'USAGE'],
    ['before:2026-02-30T10:00:00Z', {}, 'USAGE'],
    ['before:2026-11-20T25:00', {}, 'USAGE'],
    ['before:2026-11-20T10:61', {}, 'USAGE'],
    ['before:2026-11-20 10:15 tomorrow', {}, 'USAGE'],
    ['before:2026-11-20T10:15+25:00', {}, 'USAGE'],
    ['before:2026-11-20Z', {}, 'USAGE'],
  ] as [string, { component?: string; host?: string }, string][])(
    "'%s' with %j is refused: %s",
    (from, options, code) => {
      expect(() => selected(from, options)).toThrow(expect.objectContaining({ code }) as Error);
    },
  );

  test('before any instant is the newest that is older, whatever the zone it is written in', () => {
    const hours = fc.integer({ min: -12, max: 14 });
    const seconds = fc.integer({ min: 1_763_400_000, max: 1_796_000_000 });
    fc.assert(
      fc.property(seconds, hours, (second, hour) => {
        const shifted = new Date((second + hour * 3600) * 1000).toISOString().slice(0, 19);
        const zone = `${hour < 0 ? '-' : '+'}${String(Math.abs(hour)).padStart(2, '0')}:00`;
        const limit = BigInt(second) * 1_000_000_000n;
        const expected = history.findLast(({ time }) => parseTime(time) < limit);
        // One that is older than all stands before the question, so that there is always an answer.
        const found = selectPoint([eldest, ...history], { from: `before:${shifted}${zone}` }, () => false);
        expect(found.id).toBe((expected ?? eldest).id);
      }),
    );
  });
});

test('the newest of all is none of a neighbour, but may be one that somebody took of paths', () => {
  const ofPaths = snapshot({ id: 'ffff2', time: '2026-11-28T00:00:00Z' });
  const chosen = (host: string): string =>
    selectPoint([...history, ofPaths], { from: 'latest', host }, () => true).id.slice(0, 5);
  expect([chosen('shop'), chosen('blog')]).toEqual(['ffff2', 'ffff2']);
});

test('the state of the service is the newest of all only where it is named', () => {
  const state = snapshot({ id: 'ffff1', time: '2026-11-28T00:00:00Z', component: '_service' });
  const chosen = (request: PointRequest): string =>
    selectPoint([...history, state], request, () => true).id.slice(0, 5);
  expect(chosen({ from: 'latest' })).toBe('cccc1');
  expect(chosen({ from: 'latest', component: '_service' })).toBe('ffff1');
  expect(chosen({ from: 'ffff1' })).toBe('ffff1');
});
