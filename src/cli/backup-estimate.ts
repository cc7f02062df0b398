// How much a backup will have to read, so that its bar can end: what the last backup read, else a count of the files
// that runs beside the work. An estimate only; where none is possible the bar shows what is done.
import { hostname } from 'node:os';
import type { Repository } from '../repository/repository.ts';
import { loadSnapshots } from '../repository/snapshot.ts';
import type { Source } from '../sources/source.ts';
import { summaryNumber } from '../repository/snapshot-summary.ts';
import { componentOf } from '../operations/restore/select-point.ts';

export interface Estimate {
  /** Undefined until it is known. */
  readonly bytes: number | undefined;
  stop(): void;
}

export function expectedSizeBytes(subject: {
  readonly source: Source;
  readonly repository: Repository;
  readonly host: string | undefined;
  readonly component: string;
  readonly signal: AbortSignal;
}): Estimate {
  const stopper = new AbortController();
  const estimate = { bytes: undefined as number | undefined, stop: () => stopper.abort() };
  const signal = AbortSignal.any([subject.signal, stopper.signal]);
  const find = async (): Promise<void> => {
    estimate.bytes = (await lastSizeBytes(subject, signal)) ?? (await countedSizeBytes(subject.source, signal));
  };
  // The backup itself meets the same trouble and reports it. Whatever it is, a bar without an end must not end a backup.
  find().catch(() => undefined);
  return estimate;
}

async function lastSizeBytes(
  { repository, host = hostname(), component }: Parameters<typeof expectedSizeBytes>[0],
  signal: AbortSignal,
): Promise<number | undefined> {
  const last = (await loadSnapshots(repository, signal)).findLast(
    (snapshot) => snapshot.hostname === host && componentOf(snapshot) === component,
  );
  const sizeBytes = last && summaryNumber(last, 'total_bytes_processed');
  return sizeBytes === 0 ? undefined : sizeBytes;
}

/** Only of files: what a server will send is known when it has sent it. */
async function countedSizeBytes(source: Source, signal: AbortSignal): Promise<number | undefined> {
  if (source.kind !== 'files') return undefined;
  await using session = await source.open(signal);
  let sizeBytes = 0;
  for await (const { metadata } of session.entries(signal)) {
    if (metadata.type === 'file') sizeBytes += metadata.sizeBytes;
  }
  return sizeBytes;
}
