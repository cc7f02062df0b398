import { expect, test } from 'vitest';
import { namesStandby } from './standby-names.ts';

test.each(['*', '"*"', 'lifeboat', 'a, Lifeboat', 'FIRST 1 (a, lifeboat)', 'any 2 ("x", "lifeboat")', '2 (*)'])(
  '%s makes commits wait for lifeboat',
  (setting) => expect(namesStandby(setting, 'lifeboat')).toBe(true),
);

test.each(['', 'a', 'lifeboat2, a', 'FIRST 1 (first, any)', '"life boat"', 'ANY 1 (a, """lifeboat""")'])(
  '%s does not make commits wait for lifeboat',
  (setting) => expect(namesStandby(setting, 'lifeboat')).toBe(false),
);
