import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { isRoot } from '../../test/support/unprivileged.ts';

const file = fileURLToPath(new URL('./current-user.ts', import.meta.url));

function userOf(options: { readonly uid?: number; readonly gid?: number }): unknown {
  const script = `import { currentUser } from ${JSON.stringify(file)}; console.log(JSON.stringify(currentUser()))`;
  const text = execFileSync(process.execPath, ['--input-type=module', '--eval', script], {
    ...options,
    encoding: 'utf8',
  });
  return JSON.parse(text);
}

test.skipIf(!isRoot)('a user whose number has no name has an empty one', () => {
  expect(userOf({ uid: 54_321, gid: 54_322 })).toEqual({ username: '', uid: 54_321, gid: 54_322 });
});

test('the user of this process has its own name and numbers', () => {
  const name = execFileSync('id', ['-un'], { encoding: 'utf8' }).trim();
  expect(userOf({})).toEqual({ username: name, uid: process.geteuid?.(), gid: process.getegid?.() });
});
