// Holds the manifest of a base backup until its turn in the snapshot comes: behind the WAL, which is fetched after it. It is kept
// byte for byte, because the next incremental backup must show it to the server, and compressed, because of a million files.
import { zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { ManifestReader, type ManifestFile, type ManifestSummary } from './manifest.ts';

const blockBytes = 1024 * 1024;

export class KeptManifest {
  readonly #blocks: Buffer[] = [];
  #summary: ManifestSummary | undefined;
  sizeBytes = 0;

  /** Rejects a manifest that is damaged; `onFile` is told of each file. */
  async take(content: AsyncIterable<Uint8Array>, onFile: (file: ManifestFile) => void): Promise<void> {
    const reader = new ManifestReader();
    let waiting: Uint8Array[] = [];
    let waitingBytes = 0;
    const keep = (): void => {
      this.#blocks.push(zstdCompressSync(Buffer.concat(waiting)));
      waiting = [];
      waitingBytes = 0;
    };
    for await (const piece of content) {
      for (const file of reader.push(piece)) onFile(file);
      waiting.push(Uint8Array.from(piece)); // What came stays only until more is asked for.
      waitingBytes += piece.length;
      this.sizeBytes += piece.length;
      if (waitingBytes >= blockBytes) keep();
    }
    if (waitingBytes > 0) keep();
    this.#summary = reader.finish();
  }

  get summary(): ManifestSummary {
    if (this.#summary === undefined) throw new Error('the manifest has not come yet');
    return this.#summary;
  }

  *content(): Generator<Uint8Array, void> {
    for (const block of this.#blocks) yield zstdDecompressSync(block);
  }
}
