// A component's journal as it is run: spools of two machines and repositories that may be slow or away.
import { cpSync, readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { systemClock } from '../../src/base/clock.ts';
import { errnoOf } from '../../src/base/errors.ts';
import { seededRandom } from '../../src/base/random.ts';
import type { SpooledJournalOptions } from '../../src/operations/journal/spooled-journal.ts';
import { initRepository } from '../../src/repository/open-repository.ts';
import type { Repository } from '../../src/repository/repository.ts';
import { systemSleep } from '../../src/storage/interruption.ts';
import { memoryStore } from '../../src/storage/memory/store.ts';
import type { Store } from '../../src/storage/store.ts';
import { cheapScrypt, noSignal, testPassword } from './repository.ts';

/** A repository in memory that nobody else waits for. */
export async function memoryRepository(store: Store = memoryStore()): Promise<Repository> {
  const options = {
    password: testPassword,
    signal: noSignal,
    scryptCost: cheapScrypt,
    chunkerDefault: 'gear' as const,
  };
  return { ...(await initRepository(store, options)), lockSettings: { settleMs: 0 } };
}

/** Quick intervals, no waiting; `changes` for what a test is about. */
export function journalOptions(
  folder: string,
  repositories: readonly Repository[],
  changes: Partial<SpooledJournalOptions> = {},
): SpooledJournalOptions {
  return {
    family: 'shop/database',
    spool: { folder, maxBytes: 1024 * 1024 },
    repositories: repositories.map((repository, at) => ({ name: `r${at + 1}`, open: async () => lent(repository) })),
    acknowledge: 'spool',
    intervalMs: 10,
    leaseCheckMs: 20,
    takesOver: true,
    closeMaxMs: 0,
    lookMaxMs: 500,
    events: { note: () => undefined, warn: () => undefined },
    clock: systemClock,
    random: seededRandom(1),
    sleep: systemSleep,
    ...changes,
  };
}

/** Whoever closes it closes not the store: the test looks into it afterwards. */
export function lent(repository: Repository): Repository {
  const { store } = repository;
  const { properties, removeUnfinished } = store;
  return {
    ...repository,
    store: {
      properties,
      removeUnfinished,
      get: (name, options) => store.get(name, options),
      put: (name, parts, options) => store.put(name, parts, options),
      stat: (name, options) => store.stat(name, options),
      list: (prefix, options) => store.list(prefix, options),
      remove: (name, options) => store.remove(name, options),
      async [Symbol.asyncDispose]() {},
    },
  };
}

/**
 * What a death at this instant leaves of a spool, as a spool that another process may open. What other threads of this process still
 * write meanwhile would make it a mixture of two instants, so it is copied until nothing changed.
 */
export function spoolAtDeath(folder: string, copy: string): string {
  for (let tries = 0; tries < 100; tries += 1) {
    const before = stateOf(folder);
    rmSync(copy, { recursive: true, force: true });
    try {
      cpSync(folder, copy, { recursive: true, filter: (path) => !path.endsWith('.sqlite') });
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT') throw error;
      continue;
    }
    if (before === stateOf(folder)) return copy;
  }
  throw new Error('the spool does not come to rest');
}

function stateOf(folder: string): string {
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' });
  return names
    .map((name) => {
      const stats = statSync(join(folder, name), { throwIfNoEntry: false });
      return `${name} ${stats?.size} ${stats?.mtimeMs} ${stats?.ino}`;
    })
    .join('\n');
}
