import { expect, test } from 'vitest';
import { AppError } from '../base/errors.ts';
import type { Component } from '../model/component.ts';
import type { StoredSnapshot } from '../repository/snapshot.ts';
import type { ReplayRestore } from '../sources/replay.ts';
import { createRepository, noSignal } from '../../test/support/repository.ts';
import { temporaryFolder } from '../../test/support/temporary-folder.ts';
import type { OpenedRepository } from './context.ts';
import { journalReaches, newestReach, type JournalReach } from './journal-reach.ts';

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

test('of repositories that lead as far, a copy into which nobody receives does not stand for the one that changes come into', () => {
  const reach = (repository: string, untilMs: number, receiver: JournalReach['receiver']): JournalReach => {
    return {
      repository,
      untilMs,
      receiver,
      branch: 'timeline 1',
      position: '0/3000000',
      missing: undefined,
      isSeen: true,
    };
  };
  const copy = reach('copy', 2, 'none');
  const received = reach('received', 2, 'here');
  expect(newestReach([received, copy])).toBe(received);
  expect(newestReach([copy, received])).toBe(received);
  expect(newestReach([reach('behind', 1, 'here'), copy])).toBe(copy);
});
