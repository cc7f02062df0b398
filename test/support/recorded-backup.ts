// A backup kept in memory and given back as the engine would: for tests of sources that need no repository.
import { AppError } from '../../src/base/errors.ts';
import type { JsonObject } from '../../src/base/json.ts';
import type { Fingerprint } from '../../src/model/fingerprint.ts';
import { folderWriter } from './write-recorded-folder.ts';
import type { BackupSession, EntryProblem, RecoveryReader, Source } from '../../src/sources/source.ts';

export interface RecordedBackup extends RecoveryReader {
  readonly files: ReadonlyMap<string, Buffer>;
  readonly problems: readonly EntryProblem[];
  readonly notes: readonly EntryProblem[];
  readonly recordedFacts: JsonObject;
  readonly recordedFingerprint: Fingerprint;
}

export interface RecordOptions {
  readonly signal?: AbortSignal | undefined;
  /** Called with each chunk, so that a test can act in the middle of a dump. */
  readonly onChunk?: ((path: string, chunk: Uint8Array) => Promise<void> | void) | undefined;
}

const never = new AbortController().signal;

export async function recordBackup(
  source: Source,
  { signal = never, onChunk }: RecordOptions = {},
): Promise<RecordedBackup> {
  await using session = await source.open(signal);
  const files = new Map<string, Buffer>();
  const later = new Map<string, Promise<Uint8Array>>();
  const listed: Awaited<ReturnType<typeof listing>> = [];
  for await (const entry of session.entries(signal)) {
    listed.push({ path: entry.path, metadata: entry.metadata });
    const content = entry.kind === 'whole' ? entry.content : undefined;
    if (content?.from === 'bytes') files.set(entry.path, Buffer.from(content.bytes));
    if (content?.from === 'later') later.set(entry.path, content.bytes);
    if (content?.from !== 'stream') continue;
    const chunks: Uint8Array[] = [];
    for await (const chunk of content.open(signal)) {
      chunks.push(Buffer.from(chunk)); // It is ours until the next one only.
      await onChunk?.(entry.path, chunk);
    }
    files.set(entry.path, Buffer.concat(chunks));
  }
  for (const [path, bytes] of later) files.set(path, Buffer.from(await bytes));
  const fingerprint = await session.fingerprint(signal);
  const facts = await session.facts(signal);
  if (fingerprint === undefined) throw new Error('the session gave no fingerprint');
  return recoveryPoint({ listed, files, session, facts, fingerprint });
}

function listing(reader: RecoveryReader) {
  return Array.fromAsync(reader.entries(never));
}

function recoveryPoint(recorded: {
  readonly listed: Awaited<ReturnType<typeof listing>>;
  readonly files: ReadonlyMap<string, Buffer>;
  readonly session: Pick<BackupSession, 'problems' | 'notes'>;
  readonly facts: JsonObject;
  readonly fingerprint: Fingerprint;
}): RecordedBackup {
  const { listed, files, session, facts, fingerprint } = recorded;
  return {
    files,
    problems: session.problems,
    notes: session.notes ?? [],
    recordedFacts: facts,
    recordedFingerprint: fingerprint,
    // eslint-disable-next-line typescript/require-await -- The contract wants an async iterable.
    async *entries() {
      yield* listed;
    },
    // eslint-disable-next-line typescript/require-await -- As above.
    async *read(path) {
      const bytes = files.get(path);
      if (bytes === undefined) throw new AppError('NOT_FOUND', `no file ${path}`, { hint: 'Name another.' });
      for (let at = 0; at < bytes.length; at += 65_536) yield bytes.subarray(at, at + 65_536);
    },
    writeFolder: folderWriter(
      () => listed,
      (path) => files.get(path),
    ),
    facts: () => Promise.resolve(facts),
    fingerprint: () => Promise.resolve(fingerprint),
  };
}
