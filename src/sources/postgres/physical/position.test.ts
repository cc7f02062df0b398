import fc from 'fast-check';
import { expect, test } from 'vitest';
import { wholeUsAfter } from './position.ts';

test('a time of the server becomes whole microseconds after it, whatever its fraction', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1_700_000_000_000_000, max: 2_000_000_000_000_000 }), (timeUs) => {
      const after = wholeUsAfter(timeUs / 1000);
      expect(Number.isSafeInteger(after)).toBe(true);
      expect(after - timeUs).toBeGreaterThan(0);
      expect(after - timeUs).toBeLessThanOrEqual(1002);
    }),
  );
});
