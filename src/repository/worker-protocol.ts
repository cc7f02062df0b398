// What the main thread asks of the worker threads, and what they answer. Bulk bytes travel in shared slabs, never copied;
// contents come back as transferred buffers. Workers keep no state between tasks.
import type { ChunkerName, ChunkerParameters } from './create-chunker.ts';
import type { BlobId } from './ids.ts';
import type { BlobType } from './pack-header.ts';
import type { KeyTriple } from './seal.ts';

export interface WorkerSettings {
  readonly keys: KeyTriple;
  readonly chunker: ChunkerParameters;
}

/** A piece of a slab. */
export interface ChunkPlace {
  readonly offsetBytes: number;
  readonly lengthBytes: number;
}

/** A piece of a slab with the hash of its content. */
export interface Chunk extends ChunkPlace {
  readonly id: BlobId;
}

export interface WorkerTasks {
  /** Reads small files one after another into the slab and hashes them. */
  scanFiles: {
    readonly task: {
      readonly slab: SharedArrayBuffer;
      readonly files: readonly ScanFile[];
    };
    readonly result: readonly ScannedFile[];
  };
  /** Reads one stretch of a large file into the slab and cuts it. */
  scanPart: {
    readonly task: {
      readonly slab: SharedArrayBuffer;
      readonly path: string;
      readonly offsetBytes: number;
      readonly chunker: ChunkerName;
    };
    readonly result: ScannedPart;
  };
  /** Cuts what the main thread put into the slab. */
  scanBytes: {
    readonly task: {
      readonly slab: SharedArrayBuffer;
      readonly lengthBytes: number;
      readonly isLast: boolean;
      readonly chunker: ChunkerName;
    };
    readonly result: readonly Chunk[];
  };
  /** Compresses and seals blobs that lie in the slab; the sealed ones take their place, one after another from 0. */
  seal: {
    readonly task: {
      readonly slab: SharedArrayBuffer;
      readonly type: BlobType;
      readonly level: number;
      readonly blobs: readonly Chunk[];
    };
    readonly result: SealedRun;
  };
  /** Opens blobs of one stretch of a pack, checks them, and writes them where they belong. */
  restore: {
    readonly task: { readonly bytes: Uint8Array; readonly blobs: readonly RestoreBlob[] };
    readonly result: RestoreResult;
  };
  /** Makes all that was written near a folder survive a power cut. It may take long, and nothing else can run meanwhile. */
  flush: {
    readonly task: { readonly folder: string };
    readonly result: undefined;
  };
  /** Compares stretches of an existing file with what they should be. */
  compare: {
    readonly task: { readonly path: string; readonly chunks: readonly Chunk[] };
    /** A file that can't be read differs everywhere. */
    readonly result: { readonly equal: readonly boolean[]; readonly sizeBytes: number };
  };
  /** Opens blobs of one stretch of a pack in shared memory, checks them, and seals them anew in place if `keys` are given. */
  reseal: {
    readonly task: {
      readonly bytes: Uint8Array;
      readonly blobs: readonly ResealBlob[];
      readonly keys?: KeyTriple | undefined;
    };
    /** In the order asked. */
    readonly result: readonly ResealedBlob[];
  };
  /** Hashes pieces of a slab. */
  hash: {
    readonly task: { readonly slab: SharedArrayBuffer; readonly pieces: readonly ChunkPlace[] };
    readonly result: readonly Chunk[];
  };
  /** Opens blobs of one stretch of a pack, checks them, and puts their content into the fill area of a slab. */
  openInto: {
    readonly task: {
      readonly bytes: Uint8Array;
      readonly blobs: readonly OpenIntoBlob[];
      readonly slab: SharedArrayBuffer;
    };
    /** Numbers of those that are damaged. */
    readonly result: readonly number[];
  };
  /** Compresses and seals the bytes of a journal object. */
  sealFrames: { readonly task: SealFramesTask; readonly result: SealedFrames };
  /** Opens blobs of one stretch of a pack and checks them; returns their content if asked. */
  open: {
    readonly task: {
      readonly bytes: Uint8Array;
      readonly blobs: readonly StoredBlob[];
      readonly wantsContent: boolean;
    };
    readonly result: readonly OpenedBlob[];
  };
}

export type WorkerTaskKind = keyof WorkerTasks;

export interface ScanFile {
  readonly path: string;
  readonly sizeBytes: number;
  readonly mtimeNs: bigint;
}

export type ScannedFile =
  | { readonly outcome: 'read'; readonly chunk: Chunk; readonly isChanged: boolean }
  /** It is larger than it was: to be read as a large file. */
  | { readonly outcome: 'grown' }
  | { readonly outcome: 'failed'; readonly message: string };

export type ScannedPart =
  | {
      readonly outcome: 'read';
      readonly chunks: readonly Chunk[];
      /** Bytes that the chunks cover; the next part begins after them. */
      readonly consumedBytes: number;
      readonly isEnd: boolean;
      /** Size and time when the end was reached. */
      readonly sizeBytes: number;
      readonly mtimeNs: bigint;
    }
  | { readonly outcome: 'failed'; readonly message: string };

/** Sealed blobs in the order asked. */
export interface SealedRun {
  readonly lengthsBytes: readonly number[];
  /** Length of the content, 0 where it is stored without compression. */
  readonly plainLengthsBytes: readonly number[];
}

/** A damaged blob, or one that lies sealed in its old place unless `bytes` are given. */
export type ResealedBlob =
  | { readonly outcome: 'sealed'; readonly plainLengthBytes: number; readonly bytes?: Uint8Array }
  | { readonly outcome: 'damaged'; readonly message: string };

export interface StoredBlob {
  readonly id: BlobId;
  /** Within the bytes of the task. */
  readonly offsetBytes: number;
  readonly lengthBytes: number;
  readonly plainLengthBytes: number;
}

export interface ResealBlob extends StoredBlob {
  /** Trees are compressed if they are not, as format 2 wants it; data stays as its writer chose. */
  readonly type: BlobType;
}

export interface OpenIntoBlob extends StoredBlob {
  /** Where its content goes in the fill area, and how much of it from its beginning. */
  readonly targets: readonly { readonly atBytes: number; readonly lengthBytes: number }[];
}

export interface RestoreBlob extends StoredBlob {
  readonly targets: readonly RestoreTarget[];
}

export interface RestoreTarget {
  /** Absolute. */
  readonly path: string;
  readonly positionBytes: number;
  /** The file was made for this restore, at its full length: zeros are there already, as a hole. */
  readonly isFresh: boolean;
  /** The blob is the whole file, which the worker makes; it must not be there yet. */
  readonly isWhole: boolean;
}

export interface RestoreResult {
  /** Blobs whose bytes are damaged: another copy is to be tried. */
  readonly damaged: readonly { readonly id: BlobId; readonly message: string }[];
  readonly failed: readonly FailedWrite[];
}

export interface FailedWrite {
  readonly path: string;
  readonly message: string;
  /** `ENOSPC` and the like, where the system said so. */
  readonly errno: string | undefined;
}

export type OpenedBlob =
  | { readonly outcome: 'opened'; readonly content: Uint8Array | undefined; readonly plainLengthBytes: number }
  | { readonly outcome: 'damaged'; readonly message: string };

export interface SealFramesTask {
  /** Its fill area holds the content; the sealed frames take its place, one after another from the very beginning. */
  readonly slab: SharedArrayBuffer;
  readonly lengthBytes: number;
  readonly keys: KeyTriple;
  /** zstd; at least 1. */
  readonly level: number;
}

export interface SealedFrames {
  readonly lengthsBytes: readonly number[];
  /** Of what the sealed frames hold. */
  readonly sha256: string;
}
