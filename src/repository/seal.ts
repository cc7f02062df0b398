// restic's authenticated encryption: AES-256-CTR under a fresh IV, then Poly1305-AES over the ciphertext.
// Stored form: IV (16) ‖ ciphertext ‖ MAC (16). Nothing binds a ciphertext to its name or place; hashes do that.
import { createMac, randomBytes, timingSafeEqual } from 'node:crypto';
import { aesCtr } from '../base/aes-ctr.ts';

/** The three keys that seal everything; `r` may or may not be clamped, Poly1305 clamps by itself. */
export interface KeyTriple {
  /** AES-256, 32 bytes. */
  readonly encrypt: Buffer;
  /** AES-128 over the IV, 16 bytes. */
  readonly macK: Buffer;
  /** Poly1305, 16 bytes. */
  readonly macR: Buffer;
}

/** Buffers arrive as plain arrays from another thread. */
export function asBuffers(keys: KeyTriple): KeyTriple {
  const asBuffer = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return { encrypt: asBuffer(keys.encrypt), macK: asBuffer(keys.macK), macR: asBuffer(keys.macR) };
}

const ivBytes = 16;
const macBytes = 16;
/** How many bytes longer than its content a sealed one is. */
export const sealOverheadBytes = ivBytes + macBytes;

let ivs = Buffer.alloc(0);
let ivsUsed = 0;

/** 16 random bytes, never given twice; drawn many at a time, because asking the generator costs more than the seal of a small blob. */
function freshIv(): Buffer {
  if (ivsUsed === ivs.length) {
    ivs = randomBytes(256 * ivBytes);
    ivsUsed = 0;
  }
  ivsUsed += ivBytes;
  return ivs.subarray(ivsUsed - ivBytes, ivsUsed);
}

/** The sealed bytes do not fit the key: damaged, cut short, or another key. The caller knows the file and says so. */
export class SealBroken extends Error {
  override readonly name = 'SealBroken';
}

const zeroBlock = Buffer.alloc(16);

function macOf(keys: KeyTriple, iv: Uint8Array, ciphertext: Uint8Array): Buffer {
  const key = Buffer.allocUnsafe(32);
  key.set(keys.macR);
  // The first block of the key stream is the encrypted counter itself: AES(k, iv).
  aesCtr()({ key: keys.macK, iv }, zeroBlock, key.subarray(16));
  return createMac('poly1305', key).update(ciphertext).final();
}

/**
 * Seals `plain` into `target`, which holds `plain.length + sealOverheadBytes` bytes. `iv` is random unless a test
 * wants golden bytes.
 */
export function sealInto(keys: KeyTriple, plain: Uint8Array, options: { target: Uint8Array; iv?: Uint8Array }): void {
  const { target } = options;
  const iv = target.subarray(0, ivBytes);
  iv.set(options.iv ?? freshIv());
  const ciphertext = target.subarray(ivBytes, ivBytes + plain.length);
  aesCtr()({ key: keys.encrypt, iv }, plain, ciphertext);
  target.set(macOf(keys, iv, ciphertext), ivBytes + plain.length);
}

export function seal(keys: KeyTriple, plain: Uint8Array, iv?: Uint8Array): Buffer {
  const target = Buffer.allocUnsafe(plain.length + sealOverheadBytes);
  sealInto(keys, plain, iv === undefined ? { target } : { target, iv });
  return target;
}

/** Checks the MAC, then decrypts. Throws `SealBroken`; never returns unauthenticated bytes. */
export function open(keys: KeyTriple, sealed: Uint8Array): Buffer {
  const plain = Buffer.allocUnsafeSlow(Math.max(0, sealed.length - sealOverheadBytes));
  openInto(keys, sealed, plain);
  return plain;
}

/** As `open`, into `target`, which holds `sealed.length - sealOverheadBytes` bytes. */
export function openInto(keys: KeyTriple, sealed: Uint8Array, target: Uint8Array): void {
  if (sealed.length < sealOverheadBytes) throw new SealBroken(`only ${sealed.length} bytes`);
  const iv = sealed.subarray(0, ivBytes);
  if (iv.every((byte) => byte === 0)) throw new SealBroken('the nonce is zero');
  const ciphertext = sealed.subarray(ivBytes, sealed.length - macBytes);
  if (!timingSafeEqual(macOf(keys, iv, ciphertext), sealed.subarray(sealed.length - macBytes))) {
    throw new SealBroken('the authentication code does not fit');
  }
  aesCtr()({ key: keys.encrypt, iv }, ciphertext, target);
}
