import { expect, test } from 'vitest';
import { accountRule, addressRule, lockedUntilMs, networkOf } from './lock-out.ts';

test('the first failures cost nothing, then each doubles the wait, up to a bound', () => {
  const waits = [0, 4, 5, 6, 7, 10, 60].map((failures) => lockedUntilMs({ failures, lastAtMs: 1000 }, accountRule));
  expect(waits).toEqual([undefined, undefined, 31_000, 61_000, 121_000, 901_000, 901_000]);
  expect(lockedUntilMs({ failures: 1_000_000, lastAtMs: 0 }, addressRule)).toBe(3_600_000);
});

test('addresses of one network count as one', () => {
  expect(networkOf('192.0.2.7')).toBe('192.0.2.7');
  expect(networkOf('::ffff:192.0.2.7')).toBe('192.0.2.7');
  expect(networkOf('2001:db8:1:2:3:4:5:6')).toBe('2001:db8:1:2::/64');
  expect(networkOf('2001:0DB8:1:2::9')).toBe('2001:db8:1:2::/64');
  expect(networkOf('2001:db8::9')).toBe('2001:db8:0:0::/64');
  expect(networkOf('::1')).toBe('0:0:0:0::/64');
  expect(networkOf('fe80::1%eth0')).toBe('fe80:0:0:0::/64');
});
