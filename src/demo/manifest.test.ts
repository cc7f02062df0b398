import { chmod, mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { temporaryFolder } from '../../test/support/temporary-folder.ts';
import { compareManifests, manifestOf } from './manifest.ts';

const never = new AbortController().signal;

describe('manifestOf', () => {
  it('shows content, mode, loss and addition, whatever the time says', async () => {
    await using folder = await temporaryFolder();
    const at = (name: string): string => join(folder.path, name);
    await mkdir(at('deep'));
    for (const name of ['same', 'changed', 'deep/lost', 'shut']) await writeFile(at(name), 'before', { mode: 0o644 });
    const before = await manifestOf([folder.path], never);
    await writeFile(at('changed'), 'after!');
    await chmod(at('shut'), 0o600);
    await rm(at('deep/lost'));
    await writeFile(at('new'), '');
    const differences = compareManifests(before, await manifestOf([folder.path], never));
    expect(differences.toSorted((left, right) => (left.path < right.path ? -1 : 1))).toEqual([
      { path: at('changed'), kind: 'changed' },
      { path: at('deep/lost'), kind: 'missing' },
      { path: at('new'), kind: 'added' },
      { path: at('shut'), kind: 'changed' },
    ]);
  });

  it('holds nothing of a path that is not there', async () => {
    await using folder = await temporaryFolder();
    expect((await manifestOf([join(folder.path, 'nowhere')], never)).size).toBe(0);
  });
});
