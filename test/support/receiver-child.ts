// A receiver as a process of its own, to be killed, whose clock its parent sets and who reaches the server by whatever address it is
// given: the parts that `journal run` is made of, with shorter waits. Tells its parent what it is told and how full its spool is.
import { systemClock, type Clock } from '../../src/base/clock.ts';
import { AppError } from '../../src/base/errors.ts';
import { systemRandom } from '../../src/base/random.ts';
import { defaultPhysicalSettings } from '../../src/model/component.ts';
import { SpooledJournal } from '../../src/operations/journal/spooled-journal.ts';
import { openRepository } from '../../src/repository/open-repository.ts';
import { receive } from '../../src/sources/postgres/receiver/receive.ts';
import { systemSleep } from '../../src/storage/interruption.ts';
import { localStore } from '../../src/storage/local/store.ts';
import { testPassword } from './repository.ts';

export interface ReceiverWish {
  readonly repositoryFolder: string;
  readonly port: number;
  readonly spool: { readonly folder: string; readonly maxBytes: number };
  readonly intervalMs: number;
}

export type ReceiverWord =
  | { readonly kind: 'note' | 'warning' | 'base'; readonly text: string }
  /** `isOurs`: a fault of the program. */
  | { readonly kind: 'failed'; readonly text: string; readonly isOurs: boolean }
  | { readonly kind: 'status'; readonly usedBytes: number; readonly waitsFor: 'limit' | 'disk' | undefined };

const statusMs = 100;
const tell = (word: ReceiverWord): void => void process.send?.(word);

async function run({ repositoryFolder, port, spool, intervalMs }: ReceiverWish): Promise<void> {
  let offsetMs = 0;
  const clock: Clock = { now: () => systemClock.now() + offsetMs };
  process.on('message', (message: { readonly clockOffsetMs: number }) => (offsetMs = message.clockOffsetMs));
  const { signal } = new AbortController();
  const events = {
    note: (text: string) => tell({ kind: 'note', text }),
    warn: ({ message }: { readonly message: string }) => tell({ kind: 'warning', text: message }),
  };
  const journal = await SpooledJournal.open({
    family: 'shop/database',
    spool,
    repositories: [
      {
        name: 'main',
        open: (within) =>
          openRepository(localStore(repositoryFolder), { password: testPassword, clock, signal: within }),
      },
    ],
    acknowledge: 'spool',
    intervalMs,
    takesOver: false,
    closeMaxMs: 0,
    lookMaxMs: 1000,
    events,
    clock,
    random: systemRandom,
    sleep: systemSleep,
  });
  setInterval(() => {
    const { usedBytes, waitsFor } = journal.status().spool;
    tell({ kind: 'status', usedBytes, waitsFor });
  }, statusMs);
  const source = {
    host: '127.0.0.1',
    port,
    user: 'lifeboat',
    ssl: { mode: 'disable' } as const,
    databases: [],
    lockWaitMaxMs: 30_000,
    programFolders: [],
    method: 'physical' as const,
    physical: defaultPhysicalSettings,
    slot: 'lifeboat_database',
    clock,
  };
  const tuning = { retryFirstMs: 50, retryMaxMs: 500, silenceMaxMs: 2000, statusIntervalMs: 500 };
  const told = { ...events, needsBase: (text: string) => tell({ kind: 'base', text }), progress: () => undefined };
  await receive({ source, target: journal, events: told, tuning }, AbortSignal.any([signal, journal.signal]));
  throw journal.signal.reason;
}

const [wish] = process.argv.slice(2);
if (wish !== undefined) {
  try {
    await run(JSON.parse(wish) as ReceiverWish);
  } catch (error) {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    process.send?.({ kind: 'failed', text, isOurs: !(error instanceof AppError) } satisfies ReceiverWord, () =>
      process.exit(1),
    );
  }
}
