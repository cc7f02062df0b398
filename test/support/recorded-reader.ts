// A backup session of a test kept in memory and read back as a recovery point, so that sources need no repository.
import type { FileMetadata } from '../../src/base/file-type.ts';
import type { JsonObject } from '../../src/base/json.ts';
import type { Fingerprint } from '../../src/model/fingerprint.ts';
import type { RecoveryReader, Source } from '../../src/sources/source.ts';
import { AppError } from '../../src/base/errors.ts';
import { folderWriter } from './write-recorded-folder.ts';

export interface RecordedReader extends RecoveryReader {
  readonly files: Map<string, Buffer>;
  readonly recordedFacts: JsonObject;
  readonly recordedFingerprint: Fingerprint | undefined;
}

export async function record(source: Source, signal: AbortSignal): Promise<RecordedReader> {
  await using session = await source.open(signal);
  const files = new Map<string, Buffer>();
  const metadata = new Map<string, FileMetadata>();
  for await (const entry of session.entries(signal)) {
    metadata.set(entry.path, entry.metadata);
    if (entry.kind !== 'whole' || entry.content?.from !== 'stream') continue;
    files.set(
      entry.path,
      Buffer.concat(await Array.fromAsync(entry.content.open(signal), (piece) => Buffer.from(piece))),
    );
  }
  const facts = await session.facts(signal);
  const fingerprint = await session.fingerprint(signal);
  return {
    files,
    recordedFacts: facts,
    recordedFingerprint: fingerprint,
    async *entries() {
      for (const [path, one] of metadata) yield { path, metadata: one };
    },
    async *read(path) {
      const bytes = files.get(path);
      if (bytes === undefined) throw new AppError('NOT_FOUND', `no ${path}`, { hint: 'Name a file that is there.' });
      for (let at = 0; at < bytes.length; at += 65_536) yield bytes.subarray(at, at + 65_536);
    },
    writeFolder: folderWriter(
      () => Array.from(metadata, ([path, one]) => ({ path, metadata: one })),
      (path) => files.get(path),
    ),
    facts: async () => facts,
    fingerprint: async () => fingerprint,
  };
}
