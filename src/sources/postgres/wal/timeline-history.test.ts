import fc from 'fast-check';
import { expect, test } from 'vitest';
import { onlyAppErrors } from '../../../../test/support/only-app-errors.ts';
import {
  describeSwitch,
  firstHistory,
  isOnPath,
  parseTimelineHistory,
  timelineAt,
  timelinePath,
} from './timeline-history.ts';

const file = Buffer.from(
  '# by hand\n1\t0/3000060\tno recovery target specified\n\n2\t0/5000028\tbefore 2026-11-20 17:34:04.236886+00\n',
);
const history = parseTimelineHistory(5, file);

test('ancestors come with where they were left and why', () => {
  expect(history).toEqual({
    timeline: 5,
    ancestors: [
      { timeline: 1, switchLsn: 0x3000060n, reason: 'no recovery target specified' },
      { timeline: 2, switchLsn: 0x5000028n, reason: 'before 2026-11-20 17:34:04.236886+00' },
    ],
  });
  expect(history.ancestors.map(describeSwitch)).toEqual(['0/3000060 of timeline 1', '0/5000028 of timeline 2']);
});

test('the path names for each stretch the timeline that holds it', () => {
  expect(timelinePath(history)).toEqual([
    { timeline: 1, from: 0n, to: 0x3000060n },
    { timeline: 2, from: 0x3000060n, to: 0x5000028n },
    { timeline: 5, from: 0x5000028n, to: undefined },
  ]);
  expect(timelinePath(firstHistory)).toEqual([{ timeline: 1, from: 0n, to: undefined }]);
  expect([0n, 0x3000060n, 0x5000027n, 0x5000028n, 2n ** 60n].map((lsn) => timelineAt(history, lsn))).toEqual([
    1, 2, 2, 5, 5,
  ]);
});

test.each([
  [1, 0x3000060n, true], // At the switch both are the same state.
  [1, 0x3000061n, false],
  [2, 0x3000060n, true],
  [2, 0x300005fn, false],
  [2, 0x5000028n, true],
  [2, 0x5000029n, false],
  [5, 0x5000027n, false],
  [5, 0x9000000n, true],
  [3, 0x4000000n, false],
])('timeline %i replayed up to %i is on the path: %s', (timeline, lsn, expected) => {
  expect(isOnPath(history, { timeline, lsn })).toBe(expected);
});

test.each([
  ['', 'names no ancestor'],
  ['1\n', 'line 1 names no timeline and position'],
  ['1\t0/3000060\tx\n1\t0/4000000\ty\n', 'line 2 is not behind the one before'],
  ['1\t0/3000060\tx\n2\t0/2000000\ty\n', 'line 2 is not behind the one before'],
  ['5\t0/3000060\tx\n', 'its parent is 5'],
])('the history %j is refused', (text, message) => {
  expect(() => parseTimelineHistory(5, Buffer.from(text))).toThrow(message);
});

test('any bytes are a history or our error', () => {
  const spoilt = fc.array(fc.tuple(fc.nat(file.length - 1), fc.nat(255)), { maxLength: 5 }).map((changes) => {
    const copy = Buffer.from(file);
    for (const [at, byte] of changes) copy[at] = byte;
    return copy;
  });
  fc.assert(
    fc.property(
      fc.oneof(
        spoilt,
        fc.uint8Array({ maxLength: 80 }).map((bytes) => Buffer.from(bytes)),
      ),
      (bytes) => {
        expect(() => onlyAppErrors(() => parseTimelineHistory(5, bytes))).not.toThrow();
      },
    ),
    { numRuns: 500 },
  );
});
