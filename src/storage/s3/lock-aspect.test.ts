// What people hear of a lock depends on what lifeboat.yaml says of it. Answers of a server: test/acceptance/storage-rights.test.ts.
import { expect, test } from 'vitest';
import { aspectOf } from './lock-aspect.ts';

const rule = (mode: 'COMPLIANCE' | 'GOVERNANCE', days: number) => ({
  mode,
  days,
  retention: { Mode: mode, Days: days },
});
const nothing = { lockDays: undefined, outlivesRansomware: false };
const lock = { lockDays: 14, outlivesRansomware: false };
const ransomware = { lockDays: undefined, outlivesRansomware: true };

const said = (...given: Parameters<typeof aspectOf>): string => {
  const aspect = aspectOf(...given);
  return aspect === undefined ? 'nothing' : `${aspect.outcome}: ${aspect.message} ${aspect.hint ?? ''}`;
};

test.each([
  [said('no lock', nothing), /^nothing$/],
  [said('no rule', nothing), /^nothing$/],
  [said('no lock', lock), /^warning: none, and lock: 14d is promised Make another bucket/],
  [said('no rule', lock), /^warning: none, and lock: 14d is promised Run 'lifeboat storage setup'/],
  [said('no lock', ransomware), /^passed: none: .* by rights alone; .*storage test/],
  [said(rule('COMPLIANCE', 14), nothing), /^passed: .*14 days.*say so: s3: \{ bucket: \{ lock: 14d \} \}/],
  [said(rule('COMPLIANCE', 14), lock), /^passed: each version for 14 days \(COMPLIANCE\) $/],
  [
    said(rule('COMPLIANCE', 14), { ...lock, outlivesRansomware: true }),
    /^passed: each version for 14 days \(COMPLIANCE\) $/,
  ],
  [said(rule('COMPLIANCE', 7), lock), /^warning: .*7 days.*lock: 14d is promised Run/],
  [said(rule('GOVERNANCE', 30), lock), /^warning: .*bypass governance can destroy them Try/],
  [said(rule('GOVERNANCE', 30), nothing), /^passed: .*bypass governance/],
])('what is said of a lock: %s', (words, expected) => {
  expect(words).toMatch(expected);
});
