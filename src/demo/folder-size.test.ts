// A folder is measured while others write there.
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { folderSize } from './folder-size.ts';

test('files that go while it is measured do not count, and all others do', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'lifeboat-size-'));
  try {
    for (let file = 0; file < 50; file += 1) writeFileSync(join(folder, `kept-${file}`), 'ten bytes!');
    for (let round = 0; round < 20; round += 1) {
      // As a lease is written: under another name first.
      for (let file = 0; file < 50; file += 1) writeFileSync(join(folder, `lease-${file}-tmp`), '');
      const measured = folderSize(folder);
      await new Promise((resolve) => setImmediate(resolve));
      for (let file = 0; file < 50; file += 1)
        renameSync(join(folder, `lease-${file}-tmp`), join(folder, `lease-${file}`));
      expect(await measured).toBe(500);
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
});
