import { PassThrough } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { Decrypter, generateIdentity, identityToRecipient } from 'age-encryption';
import { expect, test } from 'vitest';
import { encrypterFor, sealedOutput } from './age-seal.ts';

const noSignal = new AbortController().signal;
const content = Buffer.from('row after row\n'.repeat(20_000));

async function opened(sealed: Uint8Array, identity: string): Promise<Buffer> {
  const decrypter = new Decrypter();
  decrypter.addIdentity(identity);
  return Buffer.from(await decrypter.decrypt(sealed));
}

test('what is written comes out for each recipient, and for nobody else', async () => {
  const identities = await Promise.all([generateIdentity(), generateIdentity(), generateIdentity()]);
  const [first, second, stranger] = identities;
  const recipients = await Promise.all([first, second].map(identityToRecipient));
  const out = new PassThrough();
  const all = buffer(out);
  const sealed = await sealedOutput(await encrypterFor(recipients), out, noSignal);
  for (let at = 0; at < content.length; at += 10_000) sealed.inside.write(content.subarray(at, at + 10_000));
  await sealed.finish();
  out.end();
  const bytes = await all;
  expect(bytes.includes('row after row')).toBe(false);
  expect(await opened(bytes, first)).toEqual(content);
  expect(await opened(bytes, second)).toEqual(content);
  await expect(opened(bytes, stranger)).rejects.toThrow(/identit/);
});

test('what was broken off does not open as if it were whole', async () => {
  const identity = await generateIdentity();
  const out = new PassThrough();
  const all = buffer(out);
  const sealed = await sealedOutput(await encrypterFor([await identityToRecipient(identity)]), out, noSignal);
  sealed.inside.write(content);
  sealed.inside.destroy(new Error('the repository is gone'));
  await expect(sealed.finish()).rejects.toThrow('the repository is gone');
  out.end();
  await expect(opened(await all, identity)).rejects.toThrow(/stream|truncated|final|chunk|tag|short/i);
});
