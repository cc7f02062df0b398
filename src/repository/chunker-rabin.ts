// restic's chunker: a Rabin fingerprint over a window of 64 bytes, modulo a polynomial of degree 53.
// A digest has 53 bits; JavaScript's integer operations have 32, so it is kept as two halves (21 and 32 bits).
import { chunkMaxBytes, chunkMinBytes, type Chunker } from './chunker.ts';
import { modulo } from './polynomial.ts';

const windowBytes = 64;
/** A cut where these low bits of the digest are all zero: every 1 MiB on average after the minimum. */
const cutMask = 2 ** 20 - 1;

interface Tables {
  readonly outHigh: Int32Array;
  readonly outLow: Int32Array;
  readonly modHigh: Int32Array;
  readonly modLow: Int32Array;
}

function makeTables(polynomial: bigint): Tables {
  const tables = {
    outHigh: new Int32Array(256),
    outLow: new Int32Array(256),
    modHigh: new Int32Array(256),
    modLow: new Int32Array(256),
  };
  for (let byte = 0; byte < 256; byte += 1) {
    const out = modulo(BigInt(byte) << BigInt(8 * (windowBytes - 1)), polynomial);
    const mod = modulo(BigInt(byte) << 53n, polynomial) | (BigInt(byte) << 53n);
    tables.outHigh[byte] = Number(out >> 32n);
    tables.outLow[byte] = Number(out & 0xffff_ffffn);
    tables.modHigh[byte] = Number(mod >> 32n);
    tables.modLow[byte] = Number(mod & 0xffff_ffffn);
  }
  return tables;
}

export function rabinChunker(polynomial: bigint): Chunker {
  const tables = makeTables(polynomial);
  return {
    nextCut(bytes, from, to) {
      if (to - from < chunkMinBytes) return 0;
      const end = Math.min(to, from + chunkMaxBytes);
      const cut = scan(bytes, { tables, from, end });
      if (cut > 0) return cut;
      return end === from + chunkMaxBytes ? end : 0;
    },
  };
}

/** The first position from the minimum on after which the digest asks for a cut; 0 if there is none up to `end`. */
function scan(bytes: Uint8Array, options: { tables: Tables; from: number; end: number }): number {
  const { outHigh, outLow, modHigh, modLow } = options.tables;
  let high = 0;
  let low = 0;
  const windowFrom = options.from + chunkMinBytes - windowBytes;
  for (let at = windowFrom; at < options.from + chunkMinBytes; at += 1) {
    const index = (high >>> 13) & 0xff;
    high = ((high << 8) | (low >>> 24)) ^ (modHigh[index] as number);
    low = ((low << 8) | (bytes[at] as number)) ^ (modLow[index] as number);
  }
  for (let at = options.from + chunkMinBytes; ; at += 1) {
    if ((low & cutMask) === 0) return at;
    if (at === options.end) return 0;
    const old = bytes[at - windowBytes] as number;
    high ^= outHigh[old] as number;
    low ^= outLow[old] as number;
    const index = (high >>> 13) & 0xff;
    high = ((high << 8) | (low >>> 24)) ^ (modHigh[index] as number);
    low = ((low << 8) | (bytes[at] as number)) ^ (modLow[index] as number);
  }
}
