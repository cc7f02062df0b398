// Backups that begin somewhere in a made-up journal, and such journals.
import { syntheticMetadata } from '../../src/base/synthetic-metadata.ts';
import { backup } from '../../src/operations/backup/backup.ts';
import type { StoredBranch } from '../../src/repository/journal/branches.ts';
import type { Repository } from '../../src/repository/repository.ts';
import type { StoredSnapshot } from '../../src/repository/snapshot.ts';
import type { Workers } from '../../src/repository/worker-pool.ts';
import type { Entry } from '../../src/sources/source.ts';
import { openTestJournal, segmentContent, sourceOf } from './journal.ts';
import { madeSource } from './made-source.ts';
import { noSignal } from './repository.ts';

export async function sealedJournal(
  repository: Repository,
  branch: StoredBranch,
  segments: readonly number[],
): Promise<void> {
  const journal = await openTestJournal(repository, 1, { branch });
  for (const segment of segments) await journal.sealSegment(sourceOf(segment, segmentContent(segment)), noSignal);
}

export interface BaseRequest {
  readonly component: string;
  readonly lineage: string;
  /** In which it begins and ends. */
  readonly segment: number;
  readonly pool?: Workers;
}

/** Also fit for an application named `shop`. */
export async function backUpBase(
  repository: Repository,
  { component, lineage, segment, pool }: BaseRequest,
): Promise<StoredSnapshot> {
  const content = Buffer.from(`${component} as of segment ${segment}`);
  const metadata = { ...syntheticMetadata('file', 1_700_000_000_000_000_000n), sizeBytes: content.length };
  const entry: Entry = {
    kind: 'whole',
    path: '/made/file',
    metadata,
    content: { from: 'stream', open: () => oneOf(content) },
  };
  const journal = { lineage, from: { segment, offset: 100 }, to: { segment, offset: 200 } };
  const { snapshot } = await backup(repository, madeSource({ entries: () => [entry], journal }), {
    host: 'shop',
    component,
    programVersion: 'test',
    signal: noSignal,
    ...(pool !== undefined && { pool }),
  });
  return snapshot;
}

// eslint-disable-next-line typescript/require-await -- The contract wants an async iterable.
async function* oneOf(content: Buffer): AsyncGenerator<Uint8Array> {
  yield content;
}
