// AES in counter mode from memory to memory, in place if wanted. node:crypto makes an object and a fresh buffer for every
// call: for megabytes that costs three times the cipher itself, in pages that the system must clear. Node carries OpenSSL
// and exports it, so node:ffi can call it; where it can't, node:crypto does the same more slowly.
import { createCipheriv } from 'node:crypto';
import { quietFfi, type Ffi } from './ffi.ts';

/**
 * Encrypts, which is also to decrypt. `key` has 16 or 32 bytes, `iv` 16. `target` is as long as `source` and may be the
 * same memory.
 */
export type AesCtr = (
  keys: { readonly key: Uint8Array; readonly iv: Uint8Array },
  source: Uint8Array,
  target: Uint8Array,
) => void;

const symbols = {
  EVP_CIPHER_CTX_new: { arguments: [], return: 'pointer' },
  EVP_aes_128_ctr: { arguments: [], return: 'pointer' },
  EVP_aes_256_ctr: { arguments: [], return: 'pointer' },
  EVP_EncryptInit_ex: { arguments: ['pointer', 'pointer', 'pointer', 'pointer', 'pointer'], return: 'int32' },
  EVP_EncryptUpdate: { arguments: ['pointer', 'pointer', 'pointer', 'pointer', 'int32'], return: 'int32' },
} as const;

function bind(ffi: Ffi): AesCtr {
  // eslint-disable-next-line unicorn/no-null -- `null` is how dlopen names the process itself.
  const { functions: c } = ffi.dlopen(null, symbols);
  const context = c.EVP_CIPHER_CTX_new();
  const ciphers = new Map([
    [16, c.EVP_aes_128_ctr()],
    [32, c.EVP_aes_256_ctr()],
  ]);
  const written = Buffer.alloc(4);
  const address = ffi.getRawPointer;
  return ({ key, iv }, source, target) => {
    const cipher = ciphers.get(key.length);
    if (cipher === undefined || iv.length !== 16 || target.length !== source.length)
      throw new Error(`AES-CTR got ${key.length} ${iv.length} ${source.length} ${target.length} bytes`);
    if (source.length === 0) return; // An empty view has no address of its own.
    const isDone =
      c.EVP_EncryptInit_ex(context, cipher, 0n, address(key), address(iv)) === 1 &&
      c.EVP_EncryptUpdate(context, address(target), address(written), address(source), source.length) === 1;
    if (!isDone) throw new Error('OpenSSL refused to encrypt');
  };
}

const slowly: AesCtr = ({ key, iv }, source, target) => {
  target.set(createCipheriv(key.length === 16 ? 'aes-128-ctr' : 'aes-256-ctr', key, iv).update(source));
};

function load(): AesCtr {
  const ffi = quietFfi();
  if (ffi === undefined) return slowly;
  try {
    return bind(ffi);
  } catch {
    return slowly; // A Node that does not export OpenSSL.
  }
}

let loaded: AesCtr | undefined;

/** For this thread; the context lives as long as it does. */
export function aesCtr(): AesCtr {
  loaded ??= load();
  return loaded;
}
