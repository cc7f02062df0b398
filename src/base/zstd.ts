// zstd from memory to memory, with one context per thread. node:zlib makes a stream object and several buffers for every
// call: for blobs of a few KB that costs four times the compression itself, and its output piles up until it is collected.
// Node carries libzstd and exports it, so node:ffi can call it; where it can't, node:zlib does the same more slowly.
import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { quietFfi, type Ffi } from './ffi.ts';

interface Zstd {
  /** Writes one frame with its content size; returns its length. Throws if it does not fit. */
  compress(content: Uint8Array, target: Uint8Array, level: number): number;
  /** Decodes all of `frames`; returns the content's length. Throws on damage and if it does not fit. */
  decompress(frames: Uint8Array, target: Uint8Array): number;
}

const symbols = {
  ZSTD_createCCtx: { arguments: [], return: 'pointer' },
  ZSTD_createDCtx: { arguments: [], return: 'pointer' },
  ZSTD_CCtx_setParameter: { arguments: ['pointer', 'int32', 'int32'], return: 'uint64' },
  ZSTD_compress2: { arguments: ['pointer', 'pointer', 'uint64', 'pointer', 'uint64'], return: 'uint64' },
  ZSTD_decompressDCtx: { arguments: ['pointer', 'pointer', 'uint64', 'pointer', 'uint64'], return: 'uint64' },
  ZSTD_isError: { arguments: ['uint64'], return: 'uint32' },
} as const;

/**
 * Level 1 looks for matches of 7 bytes; pages of a database repeat shorter ones, between which row numbers count up.
 * With 5 bytes it packs a cluster of pgbench as tightly as level 3 does (13.8 against 11.0 times) at nearly its own speed,
 * and loses nothing elsewhere.
 */
export function zstdParameters(level: number): Record<number, number> {
  // A length of 0 is what the level says.
  return { [constants.ZSTD_c_compressionLevel]: level, [constants.ZSTD_c_minMatch]: level === 1 ? 5 : 0 };
}

function bind(ffi: Ffi): Zstd {
  // eslint-disable-next-line unicorn/no-null -- `null` is how dlopen names the process itself.
  const { functions: c } = ffi.dlopen(null, symbols);
  const compressing = c.ZSTD_createCCtx();
  const decompressing = c.ZSTD_createDCtx();
  const sizeOf = (outcome: bigint): number => {
    if (c.ZSTD_isError(outcome) !== 0) throw new Error('zstd: damaged or too long');
    return Number(outcome);
  };
  // An empty view has no address of its own.
  const at = (bytes: Uint8Array): bigint => (bytes.length === 0 ? 0n : ffi.getRawPointer(bytes));
  let levelSet: number | undefined;
  const setLevel = (level: number): void => {
    for (const [parameter, value] of Object.entries(zstdParameters(level)))
      sizeOf(c.ZSTD_CCtx_setParameter(compressing, Number(parameter), value));
    levelSet = level;
  };
  return {
    compress(content, target, level) {
      if (level !== levelSet) setLevel(level);
      return sizeOf(
        c.ZSTD_compress2(compressing, at(target), BigInt(target.length), at(content), BigInt(content.length)),
      );
    },
    decompress: (frames, target) =>
      sizeOf(
        c.ZSTD_decompressDCtx(decompressing, at(target), BigInt(target.length), at(frames), BigInt(frames.length)),
      ),
  };
}

const slowly: Zstd = {
  compress(content, target, level) {
    const frame = zstdCompressSync(content, { params: zstdParameters(level) });
    target.set(frame);
    return frame.length;
  },
  decompress(frames, target) {
    const content = zstdDecompressSync(frames, { maxOutputLength: Math.max(1, target.length) });
    target.set(content);
    return content.length;
  },
};

function load(): Zstd {
  const ffi = quietFfi();
  if (ffi === undefined) return slowly;
  try {
    return bind(ffi);
  } catch {
    return slowly; // A Node that does not export libzstd.
  }
}

let loaded: Zstd | undefined;

/** For this thread; the contexts live as long as it does. */
export function zstd(): Zstd {
  loaded ??= load();
  return loaded;
}

/** Longest frame that `sizeBytes` of content may become. */
export function frameMaxBytes(sizeBytes: number): number {
  return sizeBytes + Math.ceil(sizeBytes / 256) + 512;
}
