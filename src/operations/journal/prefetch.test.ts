import { execFile, type ExecFileException } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { AppError } from '../../base/errors.ts';
import { systemRandom } from '../../base/random.ts';
import type { JournalReader } from '../../sources/journal.ts';
import { systemSleep } from '../../storage/interruption.ts';
import { memoryJournal } from '../../../test/support/memory-journal.ts';
import { noSignal } from '../../../test/support/repository.ts';
import { temporaryFolder, type TemporaryFolder } from '../../../test/support/temporary-folder.ts';
import { startPrefetcher, type PrefetchItem, type PrefetchOptions } from './prefetch.ts';
import { prefetchShim, shimFile } from './prefetch-shim.ts';

const segmentBytes = 100;
const lineage = 'test/1';
const nameOf = (segment: number): string => String(segment).padStart(8, '0');
const content = (segment: number): Buffer => Buffer.alloc(segmentBytes, segment);

describe('a prefetcher', () => {
  let home: TemporaryFolder;
  let reader: JournalReader;
  const failures: string[] = [];

  beforeEach(async () => {
    home = await temporaryFolder();
    failures.length = 0;
    const journal = memoryJournal();
    await using sink = await journal.open({ lineage, segmentBytes, about: {} }, noSignal);
    for (let segment = 1; segment <= 9; segment += 1) {
      await sink.append({ segment, offset: 0 }, content(segment), noSignal);
      await sink.seal(segment, {}, noSignal);
    }
    await sink.append({ segment: 10, offset: 0 }, Buffer.alloc(7, 10), noSignal);
    await sink.sync(noSignal);
    ({ reader } = journal);
    writeFileSync(join(home.path, shimFile), prefetchShim({ silenceMaxSeconds: 2, waitMaxSeconds: 20 }), {
      mode: 0o755,
    });
  });
  afterEach(() => home[Symbol.asyncDispose]());

  const plan: readonly PrefetchItem[] = Array.from({ length: 10 }, (_, at) => ({
    name: nameOf(at + 1),
    content: { kind: 'segment', lineage, segment: at + 1, sizeBytes: segmentBytes },
  }));
  const start = (changes: Partial<PrefetchOptions> = {}) =>
    startPrefetcher({
      folder: home.path,
      reader,
      plan,
      find: async () => undefined,
      onFailure: (name, { message }) => failures.push(`${name}: ${message}`),
      random: systemRandom,
      sleep: systemSleep,
      ...changes,
    });
  /** Exit status of the script, as a server would see it. */
  const ask = (name: string): Promise<number> => {
    const { promise, resolve } = Promise.withResolvers<number>();
    const ended = (error: ExecFileException | null): void => resolve(error === null ? 0 : Number(error.code ?? -1));
    execFile('/bin/sh', [join(home.path, shimFile), name, join(home.path, 'target.out')], ended);
    return promise;
  };
  const target = (): Buffer => readFileSync(join(home.path, 'target.out'));
  const ready = (): string[] => readdirSync(home.path).filter((name) => name.endsWith('.ready'));

  test('hands out what was planned, in order, the open segment filled up with zeros, and leaves nothing', async () => {
    await using prefetcher = await start({ aheadMax: 3 });
    for (let segment = 1; segment <= 9; segment += 1) {
      expect(await ask(nameOf(segment))).toBe(0);
      expect(target().equals(content(segment))).toBe(true);
    }
    expect(await ask(nameOf(10))).toBe(0);
    expect(target().equals(Buffer.concat([Buffer.alloc(7, 10), Buffer.alloc(93)]))).toBe(true);
    await prefetcher[Symbol.asyncDispose]();
    expect(readdirSync(home.path).toSorted()).toEqual([shimFile, 'target.out']);
  });

  test('fetches ahead of who asks, but no more than it may', async () => {
    await using _ = await start({ aheadMax: 4 });
    await expect.poll(() => ready().length).toBe(4);
    await systemSleep(200);
    expect(ready().length).toBe(4);
    expect(await ask(nameOf(1))).toBe(0);
    await expect.poll(() => existsSync(join(home.path, `${nameOf(5)}.ready`))).toBe(true);
  });

  test('bounds what it fetches ahead by bytes', async () => {
    await using _ = await start({ aheadMaxBytes: 2 * segmentBytes });
    await expect.poll(() => ready().length).toBeGreaterThan(0);
    await systemSleep(200);
    expect(ready().length).toBeLessThanOrEqual(2);
  });

  test('gives a file again, and drops what lies before the one that is asked for', async () => {
    await using _ = await start({ aheadMax: 3 });
    await expect.poll(() => ready().length).toBe(3);
    expect(await ask(nameOf(7))).toBe(0);
    expect(await ask(nameOf(7))).toBe(0);
    expect(target().equals(content(7))).toBe(true);
    await expect.poll(ready).toEqual([nameOf(8), nameOf(9), nameOf(10)].map((name) => `${name}.ready`));
  });

  test('says that a name is absent only after a listing said so', async () => {
    let isUp = false;
    await using _ = await start({
      find: async () => {
        if (!isUp) throw new AppError('STORE_UNREACHABLE', 'it is away', { hint: 'Wait.' });
        return undefined;
      },
    });
    const asked = ask('00000002.history');
    await expect.poll(() => failures).toContain('00000002.history: it is away');
    isUp = true;
    expect(await asked).toBe(1);
  });

  test('finds what is not in the plan', async () => {
    await using _ = await start({ find: async () => ({ kind: 'bytes', bytes: Buffer.from('1\t0/3\tnone\n') }) });
    expect(await ask('00000002.history')).toBe(0);
    expect(target().toString()).toBe('1\t0/3\tnone\n');
  });

  test('tries a segment again that could not be read', async () => {
    let tries = 0;
    const flaky: JournalReader = {
      ...reader,
      async read(branch, segment, signal) {
        tries += 1;
        if (tries < 4) throw new AppError('STORE_FAILED', 'not now', { hint: 'Wait.' });
        return reader.read(branch, segment, signal);
      },
    };
    await using _ = await start({ reader: flaky, aheadMax: 1 });
    expect(await ask(nameOf(1))).toBe(0);
    expect(failures).toContain(`${nameOf(1)}: not now`);
  });

  test('who asks fails closed where nobody fetches, or where the name is none', async () => {
    expect(await ask(nameOf(1))).toBe(200);
    for (const name of ['', '../../etc/passwd', '.ready', '-r']) expect(await ask(name)).toBe(200);
  });

  test('who waits fails closed when the prefetcher goes away', async () => {
    const hanging: JournalReader = { ...reader, read: () => new Promise(() => undefined) };
    const prefetcher = await start({ reader: hanging, plan: [], find: () => systemSleep(2000).then(() => undefined) });
    const asked = ask(nameOf(1));
    await systemSleep(300);
    void prefetcher[Symbol.asyncDispose]();
    expect(await asked).toBe(200);
  });

  test('a target that can not be written is an error, not the end of the journal', async () => {
    await using _ = await start();
    const { promise, resolve } = Promise.withResolvers<number>();
    const missing = join(home.path, 'missing/target');
    execFile('/bin/sh', [join(home.path, shimFile), nameOf(1), missing], (error) => resolve(Number(error?.code)));
    expect(await promise).toBe(200);
  });
});
