// The master key of a repository as text, for a recovery kit: whoever has it needs no password. It goes nowhere but into what is sealed.
import type { KeyTriple } from './seal.ts';

const sizes = { encrypt: 32, macK: 16, macR: 16 } as const;

export function masterKeyText({ encrypt, macK, macR }: KeyTriple): string {
  return Buffer.concat([encrypt, macK, macR]).toString('base64');
}

/** Undefined if it is none. */
export function parseMasterKey(text: string): KeyTriple | undefined {
  const bytes = Buffer.from(text, 'base64');
  if (bytes.length !== sizes.encrypt + sizes.macK + sizes.macR) return undefined;
  const macStart = sizes.encrypt + sizes.macK;
  return {
    encrypt: bytes.subarray(0, sizes.encrypt),
    macK: bytes.subarray(sizes.encrypt, macStart),
    macR: bytes.subarray(macStart),
  };
}
