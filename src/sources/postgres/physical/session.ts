// One physical backup: a base backup over the replication protocol, the WAL that makes it consistent at one exact position, and a
// fingerprint of the rows at that position.
import assert from 'node:assert/strict';
import { AppError, asError, isAppError, messageOf } from '../../../base/errors.ts';
import type { JsonObject } from '../../../base/json.ts';
import type { Fingerprint } from '../../../model/fingerprint.ts';
import type { JournalStretch } from '../../journal.ts';
import type { BackupRequest, BackupSession, Entry, EntryProblem } from '../../source.ts';
import { lineageOf } from '../lineage.ts';
import type { MethodChoice } from '../method.ts';
import type { PostgresOptions } from '../options.ts';
import { positionOf } from '../wal/lsn.ts';
import { wholeUsAfter } from './position.ts';
import { findInstant, type ExactInstant } from './exact-instant.ts';
import { readClusterFacts, type ClusterFacts } from './cluster-facts.ts';
import { configurationEntries, configurationPlaces } from './configuration-entries.ts';
import { findDamage, type Damage } from './damaged-pages.ts';
import { ArchiveEntries, dataFolder, manifestPath, tablespacesFolder, walFolder } from './entries.ts';
import { IncrementalMerge } from './incremental-merge.ts';
import { KeptManifest } from './kept-manifest.ts';
import { fileMetadata } from './member-metadata.ts';
import { physicalFacts } from './facts.ts';
import { ReceivedFiles } from './received-files.ts';
import { startBackup, type RunningBackup } from './running-backup.ts';
import { walTail, type WalEnd } from './wal-tail.ts';

export async function openPhysicalBackup(
  options: PostgresOptions,
  { choice, request = {} }: { readonly choice: MethodChoice; readonly request?: BackupRequest | undefined },
  signal: AbortSignal,
): Promise<BackupSession> {
  return new PhysicalSession(await startBackup(options, request, signal), { options, choice });
}

class PhysicalSession implements BackupSession {
  readonly paths = [dataFolder, tablespacesFolder, manifestPath];
  readonly problems: EntryProblem[] = [];
  readonly notes: EntryProblem[];
  readonly pagedBytes: number;
  readonly #backup: RunningBackup;
  readonly #files: ReceivedFiles;
  readonly #manifest = new KeptManifest();
  readonly #takesFingerprint: boolean;
  readonly #choice: MethodChoice;
  #cluster: ClusterFacts | undefined;
  #instant: ExactInstant | undefined;
  #damages: readonly Damage[] = [];
  #end: WalEnd | undefined;

  constructor(backup: RunningBackup, { options, choice }: { options: PostgresOptions; choice: MethodChoice }) {
    this.#backup = backup;
    this.#takesFingerprint = options.physical.takesFingerprint;
    this.#choice = choice;
    this.notes = backup.notes;
    const { received, server } = backup;
    this.pagedBytes = received.begin.sizeBytes;
    const { hasChecksums } = server;
    this.#files = new ReceivedFiles({ startLsn: received.begin.start.lsn, hasChecksums, isWayOpen: backup.isWayOpen });
  }

  async *entries(signal: AbortSignal): AsyncGenerator<Entry, void> {
    signal.throwIfAborted();
    const stop = (): void => this.#backup.stop(asError(signal.reason));
    signal.addEventListener('abort', stop, { once: true });
    try {
      yield* this.#entries(signal);
    } finally {
      signal.removeEventListener('abort', stop);
    }
  }

  facts(): Promise<JsonObject> {
    const { server, received, address, takenAtMs, parent } = this.#backup;
    const end = this.#wholeEnd();
    return Promise.resolve(
      physicalFacts({
        address,
        server,
        begin: received.begin,
        backupEnd: received.end,
        end,
        takenAtMs,
        methodReason: this.#choice.reason,
        type: parent === undefined ? 'full' : 'incremental',
        fullTime: parent?.fullTime,
        consistentTimeUs: this.#instant?.timeUs ?? this.#endTimeUs(end),
        cluster: this.#cluster,
        fingerprint: this.#instant?.extent ?? null,
        configuration: configurationPlaces(this.#cluster),
        damaged: this.#damages,
        notes: this.notes.map(({ message }) => message),
      }),
    );
  }

  /** None is no reason to give up what was copied. */
  async fingerprint(signal: AbortSignal): Promise<Fingerprint | undefined> {
    try {
      return await this.#instant?.fingerprint();
    } catch (error) {
      signal.throwIfAborted();
      if (!isAppError(error)) throw error;
      this.#noteNoFingerprint(messageOf(error));
      return undefined;
    }
  }

  journal(): JournalStretch {
    const { server, received } = this.#backup;
    const { systemIdentifier, walSegmentBytes } = server;
    const { lsn, timeline, history } = this.#wholeEnd();
    return {
      lineage: lineageOf({ systemIdentifier, timeline, history }),
      from: positionOf(received.begin.start.lsn, walSegmentBytes),
      to: positionOf(lsn, walSegmentBytes),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // In the middle of a backup the server would not hear a farewell for long.
    if (this.#end === undefined) this.#backup.stop(closed());
    await this.#instant?.[Symbol.asyncDispose]();
    await this.#backup[Symbol.asyncDispose]();
  }

  async *#entries(signal: AbortSignal): AsyncGenerator<Entry, void> {
    const { address, received, server, takenAtMs, parent } = this.#backup;
    const files = this.#files;
    const { hasChecksums } = server;
    const merge =
      parent === undefined ? undefined : new IncrementalMerge({ parentBytes: parent.fileSizes, files, hasChecksums });
    const archives = new ArchiveEntries({
      tablespaces: received.begin.tablespaces,
      files,
      merge,
      form: {
        folderMode: server.folderMode,
        fileMode: server.folderMode & 0o660,
        timeNs: BigInt(takenAtMs) * 1_000_000n,
      },
    });
    try {
      this.#cluster = await readClusterFacts(address, this.notes, signal);
      yield* configurationEntries(this.#cluster, archives.form);
      for await (const part of received.parts()) {
        signal.throwIfAborted();
        if (part.kind === 'archive') archives.archive(part.tablespace);
        else if (part.kind === 'member') yield* archives.member(part.member, part.content);
        else await this.#manifest.take(part.content, (file) => this.#files.compare(file));
      }
      this.#files.finish();
      await archives.controlFile();
      await this.#findInstant(signal);
      await this.#findDamage(signal);
      yield* archives.walFolders();
      if (merge !== undefined && merge.mapsLeftOut > 0) {
        const message = `${merge.mapsLeftOut} visibility maps are left out: a restored server makes them anew`;
        this.notes.push({ path: dataFolder, message });
      }
      yield* this.#wal(archives, signal);
      const metadata = fileMetadata(archives.form, this.#manifest.sizeBytes);
      const open = (): AsyncIterable<Uint8Array> => asyncOf(this.#manifest.content());
      yield { kind: 'whole', path: manifestPath, metadata, content: { from: 'stream', open } };
      signal.throwIfAborted();
    } finally {
      archives.close(closed());
    }
  }

  async #findInstant(signal: AbortSignal): Promise<void> {
    if (!this.#takesFingerprint) return;
    const { address, server, received } = this.#backup;
    const found = await findInstant({ address, isStandby: server.isStandby, notBefore: received.end.lsn }, signal);
    if ('reason' in found) this.#noteNoFingerprint(found.reason);
    else this.#instant = found;
  }

  /** Damage at the server is kept as it is, and told: a damaged page may be all that is left of it. */
  async #findDamage(signal: AbortSignal): Promise<void> {
    const { address, received } = this.#backup;
    const [startLsn, endLsn] = [received.begin.start.lsn, this.#instant?.lsn ?? received.end.lsn];
    this.#damages = await findDamage(this.#files, { address, startLsn, endLsn }, signal);
    for (const { file, message } of this.#damages) this.problems.push({ path: `${dataFolder}/${file}`, message });
    const { damagedLeftOut } = this.#files;
    if (damagedLeftOut > 0) {
      this.problems.push({ path: dataFolder, message: `damaged pages in ${damagedLeftOut} more files` });
    }
  }

  /** Without a look at the rows: the server's clock when it began to send the WAL. */
  #endTimeUs({ sentAtMs }: WalEnd): number {
    assert.ok(sentAtMs !== undefined, 'no WAL came');
    return wholeUsAfter(sentAtMs);
  }

  #noteNoFingerprint(reason: string): void {
    this.notes.push({
      path: dataFolder,
      message: `no fingerprint of the rows, so that proofs can't compare them: ${reason}`,
    });
  }

  async *#wal({ form }: ArchiveEntries, signal: AbortSignal): AsyncGenerator<Entry, void> {
    const { received, server, connection, slot } = this.#backup;
    const { major, walSegmentBytes: segmentBytes } = server;
    yield* walTail(
      {
        connection,
        slot,
        major,
        segmentBytes,
        form,
        folder: walFolder,
        systemIdentifier: BigInt(server.systemIdentifier),
        start: received.begin.start,
        end: this.#instant?.lsn ?? received.end.lsn,
        onEnd: (end) => (this.#end = end),
      },
      signal,
    );
  }

  #wholeEnd(): WalEnd {
    if (this.#end === undefined) throw new Error('the backup was not read to its end');
    return this.#end;
  }
}

// eslint-disable-next-line typescript/require-await -- The contract wants an async iterable.
async function* asyncOf<Item>(items: Iterable<Item>): AsyncGenerator<Item, void> {
  yield* items;
}

function closed(): AppError {
  return new AppError('INTERRUPTED', 'the backup was closed', { hint: 'Start it again.' });
}
