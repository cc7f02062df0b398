// A receiver as a process of its own, to be killed in the middle: takes in a made up journal as fast as it can and tells its parent
// where it resumed and what it acknowledged. Ends when it reached the segment given last.
import { join } from 'node:path';
import { seededRandom } from '../../src/base/random.ts';
import type { JournalBranch, JournalPosition } from '../../src/sources/journal.ts';
import { SpooledJournal } from '../../src/operations/journal/spooled-journal.ts';
import { journalOptions } from './journal-scene.ts';
import { noSignal, reopen } from './repository.ts';

export interface ChildReport {
  readonly kind: 'resumed' | 'told';
  readonly at: JournalPosition | undefined;
}

export const childBranch: JournalBranch = { lineage: 'killed/1', segmentBytes: 65_536, about: { why: 'test' } };

/** The same for a segment each time. */
export function childContent(segment: number): Buffer {
  const random = seededRandom(segment + 1);
  const bytes = Buffer.alloc(childBranch.segmentBytes);
  for (let offset = 0; offset < bytes.length; offset += 4) bytes.writeUInt32LE(Math.floor(random() * 2 ** 32), offset);
  return bytes;
}

async function receive(folder: string, acknowledge: string, lastSegment: number): Promise<void> {
  const repository = await reopen(folder);
  const journal = await SpooledJournal.open(
    journalOptions(join(folder, 'spool'), [repository], {
      acknowledge: acknowledge === 'repository' ? 'repository' : 'spool',
      takesOver: false,
      intervalMs: 20,
      closeMaxMs: 10_000,
    }),
  );
  {
    await using sink = await journal.open(childBranch, noSignal);
    const tell = (kind: ChildReport['kind'], at: JournalPosition | undefined): void =>
      void process.send?.({ kind, at } satisfies ChildReport);
    tell('resumed', sink.resumeAt());
    const random = seededRandom(process.pid);
    for (let segment = sink.resumeAt()?.segment ?? 0; segment <= lastSegment; segment += 1) {
      const content = childContent(segment);
      for (let offset = 0; offset < content.length;) {
        const bytes = content.subarray(offset, offset + 1 + Math.floor(random() * 20_000));
        await sink.append({ segment, offset }, bytes, noSignal);
        offset += bytes.length;
        if (random() < 0.5) tell('told', await sink.sync(noSignal));
      }
      await sink.seal(segment, { segment }, noSignal);
    }
  }
  await journal[Symbol.asyncDispose]();
}

const [folder, acknowledge, lastSegment] = process.argv.slice(2);
if (folder !== undefined && acknowledge !== undefined && lastSegment !== undefined) {
  await receive(folder, acknowledge, Number(lastSegment));
  process.disconnect?.();
}
