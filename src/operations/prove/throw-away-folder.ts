// A folder that a proof restores into and that goes away again, whatever modes its content was given.
import { chmodSync, readdirSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError, errnoOf, messageOf } from '../../base/errors.ts';

export async function throwAwayFolder(workFolder: string): Promise<AsyncDisposable & { readonly path: string }> {
  try {
    const path = await mkdtemp(join(workFolder, 'lifeboat-prove-'));
    return { path, [Symbol.asyncDispose]: () => remove(path) };
  } catch (error) {
    throw new AppError('INCONCLUSIVE', `no folder could be made to restore into: ${messageOf(error)}`, {
      hint: 'Name a working folder that can be written and has room.',
      cause: error,
    });
  }
}

async function remove(path: string): Promise<void> {
  try {
    await rm(path, { recursive: true, force: true });
  } catch (error) {
    if (!['EACCES', 'EPERM'].includes(errnoOf(error) ?? '')) throw error;
    // A folder that was restored write-protected keeps its owner from emptying it.
    openFolders(Buffer.from(path));
    await rm(path, { recursive: true, force: true });
  }
}

function openFolders(path: Buffer): void {
  chmodSync(path, 0o700);
  for (const entry of readdirSync(path, { withFileTypes: true, encoding: 'buffer' }))
    if (entry.isDirectory()) openFolders(Buffer.concat([path, Buffer.from('/'), entry.name]));
}
