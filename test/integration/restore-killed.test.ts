// A restore that is killed (kill -9) while it writes leaves a folder that may look complete. The next run says so and
// makes it whole. The real program, a real signal.
import type { ChildProcess } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { seededRandom } from '../../src/base/random.ts';
import { listFolder } from '../support/compare-folders.ts';
import { freshSeed } from '../support/fresh-seed.ts';
import { runLifeboat, type Ran } from '../support/lifeboat.ts';
import { fillFolder, noise } from '../support/random-tree.ts';
import { backupFolder, createRepository } from '../support/repository.ts';
import { temporaryFolder, type TemporaryFolder } from '../support/temporary-folder.ts';

const random = seededRandom(freshSeed('killed restores'));
const filesMax = 120;

describe('a restore that was killed', () => {
  let home: TemporaryFolder;
  let data: string;
  let target: string;
  /** Where the data goes below the target. */
  let restored: string;

  beforeAll(async () => {
    home = await temporaryFolder();
    data = join(home.path, 'srv/www');
    target = join(home.path, 'target');
    restored = join(target, data);
    mkdirSync(join(data, 'odd'), { recursive: true });
    fillFolder(join(data, 'odd'), random, 30);
    for (let number = 0; number < filesMax; number += 1)
      writeFileSync(join(data, `file-${number}`), noise(random, 300_000));
    chmodSync(join(home.path, 'srv'), 0o751);
    utimesSync(join(home.path, 'srv'), 7, 7);
    await backupFolder(await createRepository(home.path), data, { packTargetBytes: 1_000_000 });
  });
  afterAll(() => home[Symbol.asyncDispose]());
  beforeEach(() => rmSync(target, { recursive: true, force: true }));

  const restore = (more: readonly string[], onStart?: (child: ChildProcess) => void): Promise<Ran> =>
    runLifeboat(['restore', 'latest', '--to', './target', '--repository', './repository', ...more], {
      folder: home.path,
      ...(onStart !== undefined && { onStart }),
    });
  /** Long lines are wrapped. */
  const oneLine = ({ stdout }: Ran): string => stdout.replace(/\s+/g, ' ');
  const marksIn = (folder: string): string[] =>
    existsSync(folder) ? readdirSync(folder).filter((name) => name.startsWith('.lifeboat-')) : [];

  /** Kills the program at a random moment after it began to write. What is in the target afterwards is not complete. */
  async function killedRestore(more: readonly string[] = []): Promise<void> {
    const saved = join(home.path, 'saved');
    for (let tries = 0; tries < 20; tries += 1) {
      if (tries === 0) copyTree(target, saved);
      else copyTree(saved, target);
      const before = newestMark();
      const entriesBefore = entries();
      const delayMs = random() * 120;
      let looks = 0;
      let watching: NodeJS.Timeout | undefined;
      const { exitCode, stderr } = await restore(more, (child) => {
        watching = setInterval(() => {
          if (newestMark() === before) return;
          looks += 1;
          // Where all is there already nothing new shows.
          if (entries() === entriesBefore && looks < 200) return;
          clearInterval(watching);
          setTimeout(() => child.kill('SIGKILL'), delayMs);
        }, 1);
      });
      clearInterval(watching);
      // Without a mark it was at its end already, and only its report was cut.
      if (exitCode === -2 && marksIn(target).length > 0) return;
      expect(exitCode === -2 ? [0, ''] : [exitCode, stderr]).toEqual([0, '']);
    }
    throw new Error('the restore was always faster');
  }

  /** The same tree again, for another try. */
  function copyTree(from: string, to: string): void {
    rmSync(to, { recursive: true, force: true });
    if (existsSync(from)) cpSync(from, to, { recursive: true, preserveTimestamps: true, verbatimSymlinks: true });
  }

  const entries = (): number =>
    existsSync(restored) ? readdirSync(restored).filter((name) => /^(?:file-|\.lifeboat-)/.test(name)).length : 0;
  const newestMark = (): number => Math.max(0, ...marksIn(target).map((name) => lstatSync(join(target, name)).mtimeMs));

  function expectWhole(): void {
    expect(listFolder(restored).slice(1)).toEqual(listFolder(data).slice(1));
    const above = lstatSync(join(target, home.path, 'srv'));
    expect([above.mode & 0o7777, above.mtimeMs]).toEqual([0o751, 7000]);
    expect(marksIn(target)).toEqual([]);
    expect(marksIn(restored)).toEqual([]);
  }

  test('says on the next run what it found, and is whole after it', async () => {
    await killedRestore();
    expect(marksIn(target)).toHaveLength(1);
    const announced = await restore(['--dry-run']);
    expect(oneLine(announced)).toMatch(
      /warning earlier restore a restore of snapshot [0-9a-f]{8} that began .* had not ended/,
    );
    // Killed again, nothing of the first is forgotten.
    await killedRestore(['--yes']);
    const finished = await restore(['--yes']);
    expect(oneLine(finished)).toMatch(
      /a restore of snapshot [0-9a-f]{8} that began .* had not ended: it is finished now/,
    );
    expect(finished.exitCode).toBe(0);
    expectWhole();
    expect(oneLine(await restore(['--yes']))).not.toContain('had not ended');
  });

  test('over older files leaves each old or new, and nothing beside them after the next run, delta or not', async () => {
    for (const delta of [[], ['--delta']]) {
      rmSync(target, { recursive: true, force: true });
      mkdirSync(restored, { recursive: true });
      chmodSync(join(target, home.path, 'srv'), 0o751);
      for (let number = 0; number < filesMax; number += 1) {
        writeFileSync(join(restored, `file-${number}`), `old ${number}`);
        utimesSync(join(restored, `file-${number}`), 7, 7);
      }
      await killedRestore(['--yes']);
      for (let number = 0; number < filesMax; number += 1) {
        const content = readFileSync(join(restored, `file-${number}`));
        const isNew = content.equals(readFileSync(join(data, `file-${number}`)));
        expect([number, isNew || content.toString() === `old ${number}`]).toEqual([number, true]);
      }
      utimesSync(join(target, home.path, 'srv'), 7, 7);
      expect(oneLine(await restore(['--yes', ...delta]))).toContain('had not ended');
      expectWhole();
    }
  });

  test('is still told of after a restore of less, and not any more after one of all', async () => {
    await killedRestore();
    const part = await restore(['--yes', '--include', 'file-1']);
    expect(part.exitCode).toBe(3);
    expect(oneLine(part)).toContain('had not ended: files that only it brings back may be incomplete');
    expect(marksIn(target)).toHaveLength(1);
    await restore(['--yes']);
    expectWhole();
  });
});
