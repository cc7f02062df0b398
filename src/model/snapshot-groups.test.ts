import { expect, test } from 'vitest';
import { groupSnapshots } from './snapshot-groups.ts';

const a = { id: 'a', hostname: 'shop', paths: ['/x', '/y'], tags: ['t'] };
const b = { id: 'b', hostname: 'shop', paths: ['/y', '/x'], tags: [] };
const c = { id: 'c', hostname: 'blog', paths: ['/x', '/y'], tags: ['t'] };

function ids(groups: readonly { readonly snapshots: readonly { readonly id: string }[] }[]): string[][] {
  return groups.map(({ snapshots }) => snapshots.map(({ id }) => id));
}

test('groups by host and paths by default, in whatever order the paths come', () => {
  const groups = groupSnapshots([a, b, c]);
  expect(ids(groups)).toEqual([['a', 'b'], ['c']]);
  expect(groups[0]).toMatchObject({ host: 'shop', paths: ['/x', '/y'], tags: undefined });
});

test('groups by tags alone, or not at all', () => {
  expect(ids(groupSnapshots([a, b, c], new Set(['tags'])))).toEqual([['a', 'c'], ['b']]);
  expect(ids(groupSnapshots([a, b, c], new Set()))).toEqual([['a', 'b', 'c']]);
});
