import { argon2Sync } from 'node:crypto';
import { expect, test } from 'vitest';
import { checkPassword, hashPassword } from './passwords.ts';

test('a password opens its own hash and no other', async () => {
  const hash = await hashPassword('correct horse battery');
  expect(hash).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$/);
  expect(await hashPassword('correct horse battery')).not.toBe(hash);
  expect(await checkPassword('correct horse battery', hash)).toEqual({ isRight: true, isOutdated: false });
  expect(await checkPassword('correct horse batterY', hash)).toMatchObject({ isRight: false });
  expect(await checkPassword('correct horse battery', undefined)).toMatchObject({ isRight: false });
  expect(await checkPassword('', hash)).toMatchObject({ isRight: false });
});

test('the same letters typed in another way are the same password', async () => {
  const hash = await hashPassword('pässwörter am Fluß');
  expect(await checkPassword('pässwörter am Fluß'.normalize('NFD'), hash)).toMatchObject({ isRight: true });
});

test('a hash of earlier parameters still opens, and says that it is old', async () => {
  const nonce = Buffer.alloc(16, 7);
  const message = 'correct horse battery';
  const tag = argon2Sync('argon2id', { message, nonce, parallelism: 2, tagLength: 32, memory: 64, passes: 1 });
  const plain = (bytes: Buffer): string => bytes.toString('base64').replaceAll('=', '');
  const hash = `$argon2id$v=19$m=64,t=1,p=2$${plain(nonce)}$${plain(tag)}`;
  expect(await checkPassword(message, hash)).toEqual({ isRight: true, isOutdated: true });
});

test('one that is too short is refused, without being repeated', async () => {
  await expect(hashPassword('short-pass!')).rejects.toMatchObject({
    code: 'USAGE',
    message: expect.not.stringContaining('short-pass') as string,
  });
});
