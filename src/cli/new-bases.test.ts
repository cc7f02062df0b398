import { expect, test } from 'vitest';
import type { BackupForm } from '../sources/source.ts';
import type { CommandContext } from './context.ts';
import type { JournalSubject } from './journal-subject.ts';
import { newBases } from './new-bases.ts';

/** What is told of a base that is needed, of a server whose backups have this form. No repository is ever opened. */
async function toldOf(form: BackupForm): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  const context = {
    sourceOf: async () => ({ decideBackup: async () => form }),
    openRepository: () => Promise.reject(new Error('a repository was opened')),
    progress: { note: resolve, update: () => undefined, clear: () => undefined },
    random: () => 1,
    clock: { now: () => 0 },
  } as unknown as CommandContext;
  const subject = { component: 'database', repositories: [{ name: 'local' }] } as unknown as JournalSubject;
  await using bases = newBases(context, subject);
  bases.need('the slot was lost');
  bases.streams();
  return await promise;
}

test('nothing is read for a base that would be a dump', async () => {
  const reason = 'a dump; wal_level is minimal';
  expect(await toldOf({ method: 'logical', type: 'full', reason })).toMatch(
    /would be a dump; wal_level is minimal, on which no journal can be replayed; it is not tried again/,
  );
  expect(await toldOf({ method: 'logical', type: 'full', reason, isUnknown: true })).toMatch(/it is tried again in/);
});
