import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { temporaryFolder } from '../../../test/support/temporary-folder.ts';
import { programFailure, programOutput } from './run-program.ts';

test('what a program says of its failure is one line, without tabs and without the password', async () => {
  await using folder = await temporaryFolder();
  const path = join(folder.path, 'pg_dump');
  await writeFile(path, `#!/bin/sh\nprintf 'server went away\\n\\tThis means: %s\\n' "$PGPASSWORD" >&2\nexit 1\n`);
  await chmod(path, 0o755);
  const address = { host: 'db', port: 5432, user: 'me', password: 'hushed', ssl: { mode: 'disable' } } as const;
  const run = { folder: folder.path, program: 'pg_dump', arguments: [], address } as const;
  const failed = await Array.fromAsync(programOutput(run, new AbortController().signal)).catch(
    (error: unknown) => error,
  );
  expect(programFailure(failed, { what: 'the dump broke off', code: 'SOURCE_FAILED' })).toMatchObject({
    message: 'the dump broke off: pg_dump exited with 1: server went away; This means: ***',
  });
});
