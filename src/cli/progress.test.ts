import { describe, expect, test } from 'vitest';
import { ProgressMeter, progressLine, shareDone, statusMessage } from './progress.ts';

const half = { work: 'backup uploads', bytesDone: 512 * 2 ** 20, bytesTotal: 2 ** 30, itemsDone: 10, item: 'file' };

function measured(progress: Parameters<ProgressMeter['measure']>[0], elapsedMs: number) {
  const meter = new ProgressMeter();
  meter.measure({ ...progress, bytesDone: 0 }, 1000);
  return meter.measure(progress, 1000 + elapsedMs);
}

describe('progressLine', () => {
  test('shows done of total, rate and the time that is left', () => {
    expect(progressLine(measured(half, 4000), 80)).toMatchInlineSnapshot(
      `"backup uploads  [#########---------]   50%  512 MiB of 1 GiB  128 MiB/s  ETA 4s"`,
    );
  });

  test('without a total shows what is done, how fast and since when, and no bar', () => {
    const { bytesTotal: _, ...open } = half;
    expect(progressLine(measured(open, 4000), 80)).toMatchInlineSnapshot(
      `"backup uploads  10 files  512 MiB  128 MiB/s  4s"`,
    );
  });

  test('counts what is done as it counts the whole', () => {
    const counted = { work: 'create', itemsDone: 1025, itemsTotal: 3024, item: 'file' };
    expect(progressLine({ ...counted, elapsedMs: 4000, bytesPerSecond: undefined }, 80)).toContain(
      '1,025 of 3,024 files',
    );
  });

  test.each([40, 60, 80, 120])('fits a terminal of %i columns, whatever it is told', (widthColumns) => {
    const long = { ...half, work: 'a very long name of the work '.repeat(4), detail: `/srv/${'x'.repeat(200)}` };
    for (const progress of [long, { ...long, bytesTotal: undefined }, { ...half, detail: long.detail }]) {
      const line = progressLine(measured(progress, 123_456), widthColumns);
      expect(line.length).toBeLessThan(widthColumns);
    }
  });

  test('shows no control character of a path', () => {
    const { bytesTotal: _, ...open } = half;
    // oxlint-disable-next-line no-control-regex -- they are what must not be there
    expect(progressLine(measured({ ...open, detail: 'a\u001B[2Jb\nc' }, 4000), 120)).not.toMatch(/[\u0000-\u001F]/);
  });
});

test('the share done never exceeds the whole, even if a file grew after it was counted', () => {
  expect(shareDone({ work: 'x', bytesDone: 300, bytesTotal: 200 })).toBe(1);
  expect(shareDone({ work: 'x', bytesDone: 300, bytesTotal: 0 })).toBeUndefined();
  expect(shareDone({ work: 'x', itemsDone: 1, itemsTotal: 4 })).toBe(0.25);
});

test('a new name of the work starts its clock anew', () => {
  const meter = new ProgressMeter();
  meter.measure({ work: 'first', bytesDone: 0 }, 0);
  expect(meter.measure({ work: 'first', bytesDone: 1000 }, 10_000).bytesPerSecond).toBe(100);
  expect(meter.measure({ work: 'second', bytesDone: 0 }, 11_000).elapsedMs).toBe(0);
  expect(meter.measure({ work: 'second', bytesDone: 4000 }, 13_000).bytesPerSecond).toBe(2000);
});

test('a status line names its numbers with their units', () => {
  expect(statusMessage(measured(half, 4000))).toMatchObject({
    message_type: 'status',
    work: 'backup uploads',
    percentDone: 0.5,
    bytesDone: 536_870_912,
    bytesTotal: 1_073_741_824,
    bytesPerSecond: 134_217_728,
    secondsElapsed: 4,
    secondsRemaining: 4,
  });
});
