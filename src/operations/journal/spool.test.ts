import { execFileSync } from 'node:child_process';
import { readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { systemClock } from '../../base/clock.ts';
import { systemRandom } from '../../base/random.ts';
import type { JournalBranch } from '../../sources/journal.ts';
import { systemSleep } from '../../storage/interruption.ts';
import { noSignal } from '../../../test/support/repository.ts';
import { canMount, mountSmallDisk } from '../../../test/support/small-disk.ts';
import { temporaryFolder, type TemporaryFolder } from '../../../test/support/temporary-folder.ts';
import { Spool, type SpoolOptions } from './spool.ts';

const branch: JournalBranch = { lineage: 'test/1', segmentBytes: 1000, about: { history: 'none' } };
const at = (segment: number, offset: number) => ({ segment, offset });

describe('a spool', () => {
  let home: TemporaryFolder;
  let told: string[];
  beforeEach(async () => {
    home = await temporaryFolder();
    told = [];
  });
  afterEach(() => home[Symbol.asyncDispose]());

  const open = (changes: Partial<SpoolOptions> = {}): Promise<Spool> =>
    Spool.open({
      folder: join(home.path, 'spool'),
      maxBytes: 10_000,
      events: { note: (message) => told.push(message), warn: ({ message }) => told.push(message) },
      clock: systemClock,
      random: systemRandom,
      sleep: (_, signal) => systemSleep(5, signal),
      ...changes,
    });

  test('is closed to others', async () => {
    await using spool = await open();
    const spooled = await spool.open(branch, noSignal);
    await spooled.append(at(1, 0), Buffer.alloc(10), noSignal);
    const folder = join(home.path, 'spool');
    expect(statSync(folder).mode & 0o777).toBe(0o700);
    for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
      const stats = statSync(join(folder, name));
      expect([name, stats.mode & 0o777]).toEqual([name, stats.isDirectory() ? 0o700 : 0o600]);
    }
  });

  test('belongs to one at a time, here and in another process, and to the next one as soon as that is gone', async () => {
    const spool = await open();
    const { writer } = spool;
    await expect(open()).rejects.toMatchObject({
      code: 'REPOSITORY_LOCKED',
      message: expect.stringContaining(String(process.pid)),
    });
    const script = `const { Spool } = await import(${JSON.stringify(fileURLToPath(new URL('spool.ts', import.meta.url)))});
      const quiet = { note() {}, warn() {} };
      await Spool.open({ folder: process.argv[1], maxBytes: 1e6, events: quiet, clock: { now: () => 0 }, random: () => 0.5 })
        .then(() => console.log('open'), (error) => console.log(error.code));`;
    const elsewhere = () =>
      execFileSync(process.execPath, ['--input-type=module', '-e', script, join(home.path, 'spool')]);
    expect(elsewhere().toString().trim()).toBe('REPOSITORY_LOCKED');
    await spool[Symbol.asyncDispose]();
    expect(elsewhere().toString().trim()).toBe('open');
    await using again = await open();
    expect(again.writer).toBe(writer);
  });

  test('knows after a restart where each branch ends, in the order in which they were opened', async () => {
    {
      await using spool = await open();
      for (const lineage of ['test/b', 'test/a']) {
        const spooled = await spool.open({ ...branch, lineage }, noSignal);
        await spooled.append(at(3, 0), Buffer.alloc(1000, 3), noSignal);
        await spooled.seal(3, { sealed: true }, noSignal);
        await spooled.append(at(4, 0), Buffer.alloc(70, 4), noSignal);
        await spooled.sync(noSignal);
        await spooled.append(at(4, 70), Buffer.alloc(30, 5), noSignal);
      }
    }
    await using spool = await open();
    expect(spool.branches().map(({ branch: { lineage }, start, end }) => ({ lineage, start, end }))).toEqual(
      ['test/b', 'test/a'].map((lineage) => ({ lineage, start: at(3, 0), end: at(4, 70) })),
    );
    expect(spool.find('test/a')?.segments()).toEqual([
      { segment: 3, sizeBytes: 1000, isSealed: true, facts: { sealed: true } },
      { segment: 4, sizeBytes: 70, isSealed: false, facts: {} },
    ]);
  });

  test('remembers its end when its segments are gone', async () => {
    {
      await using spool = await open();
      const spooled = await spool.open(branch, noSignal);
      await spooled.append(at(3, 0), Buffer.alloc(500), noSignal);
      await spooled.seal(3, {}, noSignal);
      await spooled.remove(3);
      expect(spool.room.usedBytes).toBe(0);
    }
    await using spool = await open();
    const spooled = spool.find('test/1');
    expect(spooled?.segments()).toEqual([]);
    expect(spooled?.durableEnd).toEqual(at(4, 0));
    expect(spooled?.start).toEqual(at(3, 0));
  });

  test('lets an append wait beyond its limit, tells so, and goes on when there is room', async () => {
    await using spool = await open({ maxBytes: 4000 });
    const spooled = await spool.open(branch, noSignal);
    for (const segment of [1, 2, 3]) {
      await spooled.append(at(segment, 0), Buffer.alloc(1000), noSignal);
      await spooled.seal(segment, {}, noSignal);
    }
    let isDone = false;
    const waiting = spooled.append(at(4, 0), Buffer.alloc(1000), noSignal).then(() => (isDone = true));
    await expect.poll(() => told.length).toBe(1);
    expect(told[0]).toContain('nothing more is acknowledged');
    expect(spool.room.waitsFor).toBe('limit');
    expect(isDone).toBe(false);
    await spooled.remove(1);
    await waiting;
    expect(spool.room.waitsFor).toBeUndefined();
    expect(await spooled.sync(noSignal)).toEqual(at(4, 1000));
  });

  test('a wait for room ends with the signal, and takes nothing', async () => {
    await using spool = await open({ maxBytes: 4000 });
    const spooled = await spool.open(branch, noSignal);
    for (const segment of [1, 2, 3]) {
      await spooled.append(at(segment, 0), Buffer.alloc(1000), noSignal);
      await spooled.seal(segment, {}, noSignal);
    }
    const before = spool.room.usedBytes;
    await expect(spooled.append(at(4, 0), Buffer.alloc(1000), AbortSignal.timeout(20))).rejects.toMatchObject({
      code: 'TIMED_OUT',
    });
    expect(spool.room.usedBytes).toBe(before);
    expect(spooled.end).toEqual(at(4, 0));
  });

  test('refuses to be too small for its segments', async () => {
    await using spool = await open({ maxBytes: 3999 });
    await expect(spool.open(branch, noSignal)).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
  });

  test.skipIf(!canMount)('waits on a full disk, and loses nothing', async () => {
    using disk = mountSmallDisk(join(home.path, 'disk'), 'size=256k');
    await using spool = await open({ folder: join(disk.path, 'spool'), maxBytes: 10_000_000 });
    const big = { ...branch, segmentBytes: 100_000 };
    const spooled = await spool.open(big, noSignal);
    await spooled.append(at(1, 0), Buffer.alloc(100_000, 1), noSignal);
    await spooled.seal(1, {}, noSignal);
    const waiting = spooled.append(at(2, 0), Buffer.alloc(100_000, 2), noSignal);
    const filler = join(disk.path, 'filler');
    await waiting;
    writeFileSync(filler, '');
    const more = spooled.seal(2, {}, noSignal).then(() => spooled.append(at(3, 0), Buffer.alloc(100_000, 3), noSignal));
    await expect.poll(() => told.some((message) => message.includes('disk of the spool is full'))).toBe(true);
    expect(spool.room.waitsFor).toBe('disk');
    await spooled.remove(1);
    await more;
    expect(await spooled.sync(noSignal)).toEqual(at(3, 100_000));
    await using reader = await spooled.reader(3);
    const bytes = Buffer.alloc(100_000);
    await reader.read(0, bytes);
    expect(bytes.equals(Buffer.alloc(100_000, 3))).toBe(true);
  });
});
