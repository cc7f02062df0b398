import { expect, test } from 'vitest';
import { AppError } from '../base/errors.ts';
import type { Component } from '../model/component.ts';
import type { StoredSnapshot } from '../repository/snapshot.ts';
import type { ReplayRestore } from '../sources/replay.ts';
import { createRepository, noSignal } from '../../test/support/repository.ts';
import { temporaryFolder } from '../../test/support/temporary-folder.ts';
import type { OpenedRepository } from './context.ts';
import { journalReaches } from './journal-reach.ts';

const place = { segment: 1, offset: 0 };

function snapshotOf(hostname: string): StoredSnapshot {
  const journal = { lineage: `of ${hostname}`, from: place, to: place };
  return {
    id: hostname,
    hostname,
    tags: [],
    lifeboat: { component: 'database', journal },
  } as unknown as StoredSnapshot;
}

async function reachOf(end: ReplayRestore['end']) {
  await using folder = await temporaryFolder();
  const repository = await createRepository(folder.path);
  const opened = { repository, settings: { name: 'shared' } } as unknown as OpenedRepository;
  const component = { name: 'database' } as Component;
  const replay = { end } as ReplayRestore;
  const journaled = [{ component, application: 'shop', family: 'shop/database', replay, seen: undefined }];
  const snapshots = [snapshotOf('shop'), snapshotOf('forum')];
  return await journalReaches(opened, { snapshots, journaled }, noSignal);
}

test('the journal of another application in the same repository makes nothing look newer', async () => {
  const asked: unknown[] = [];
  const reaches = await reachOf(async ({ bases }) => {
    asked.push(...bases.map(({ id }) => id));
    return undefined;
  });
  expect(asked).toEqual(['shop']);
  expect(reaches.size).toBe(0);
});

test('a backup that is damaged does not hide what else is there', async () => {
  const damaged = new AppError('REPOSITORY_DAMAGED', 'a pack is missing', { hint: 'Verify.' });
  expect((await reachOf(() => Promise.reject(damaged))).size).toBe(0);
  const away = new AppError('STORE_UNREACHABLE', 'no answer', { hint: 'Wait.' });
  await expect(reachOf(() => Promise.reject(away))).rejects.toThrow(away);
});
