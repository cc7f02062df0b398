// What monitors read: one word, one line, one exit code, the worst that is true.
import { expect, test } from 'vitest';
import { renderLast, renderNagios, worstOf, type LastStanding, type LastStatus } from './last-status.ts';
import { plainStyle } from './style.ts';

const one = (component: string, change: Partial<LastStanding> = {}): LastStanding => ({
  application: 'shop',
  component,
  standing: 'protected',
  reason: 'proven 5h ago',
  hint: undefined,
  ageMs: 3_600_000,
  rpoMs: 14_400_000,
  since: '2026-11-28T00:00:00Z',
  seenAt: '2026-11-28T00:00:00Z',
  ...change,
});
const late = one('database', { standing: 'overdue', reason: 'old | older', hint: "Run 'lifeboat backup database'." });
const status = (...standings: LastStanding[]): LastStatus => ({ standings });

test('all well is one line that says so', () => {
  expect(renderNagios(status(one('a'), one('b', { rpoMs: undefined })))).toBe(
    "LIFEBOAT OK - 2 components protected | 'a'=3600s;;14400;0 'b'=3600s;;;0",
  );
});

test('what is wrong is named, the worst of it first in the word, and no bar in it ends the text', () => {
  const line = renderNagios(status(one('a', { standing: 'at_risk', reason: 'never proven' }), late));
  expect(line).toBe(
    "LIFEBOAT CRITICAL - a is at risk (never proven); database is overdue (old   older) | 'a'=3600s;;14400;0 'database'=3600s;;14400;0",
  );
});

test('of several applications each is named with its own: in words, data and hints', () => {
  const several = status({ ...late, application: 'acme' }, one('database', { application: 'globex' }));
  expect(renderNagios(several)).toBe(
    "LIFEBOAT CRITICAL - acme/database is overdue (old   older) | 'acme/database'=3600s;;14400;0 'globex/database'=3600s;;14400;0",
  );
  const text = renderLast(several, plainStyle({ nowMs: Date.parse('2026-11-28T00:01:00Z') }));
  expect(text.split('\n').slice(1)).toEqual([
    'acme/database    overdue    1m ago  old | older',
    'globex/database  protected  1m ago  proven 5h ago',
    "hint: Run 'lifeboat backup database'.",
    'hint: Add --config and the file of the application.',
  ]);
});

test('a hint that is about the server itself asks for no file of an application', () => {
  const silent = { standing: 'unknown', hint: "See that 'lifeboat server' runs." } as const;
  const text = renderLast(status(one('a', silent), one('a', { ...silent, application: 'acme' })), plainStyle());
  expect(text).toContain("hint: See that 'lifeboat server' runs.");
  expect(text).not.toContain('--config');
});

test('where nothing is known monitors are told in their one line', () => {
  expect(renderNagios(status(), "the catalog can't be reached | now")).toBe(
    "LIFEBOAT UNKNOWN - the catalog can't be reached   now",
  );
});

test.each([
  [[one('a'), one('b', { standing: 'unknown', ageMs: undefined })], 'unknown'],
  [[one('a', { standing: 'unknown' }), late], 'overdue'],
  [[late, one('b', { standing: 'unprotected' })], 'unprotected'],
  [[], 'unknown'],
] as const)('the worst of %j is %s', (standings, worst) => {
  expect(worstOf({ standings })).toBe(worst);
});

test('people see why and what to do, within 80 columns', () => {
  const text = renderLast(status(one('a'), late), plainStyle({ nowMs: Date.parse('2026-11-28T05:00:00Z') }));
  expect(text.split('\n')).toEqual([
    'Component  Stands     Since   Why',
    'a          protected  5h ago  proven 5h ago',
    'database   overdue    5h ago  old | older',
    'a server looked last 5h ago',
    "hint: Run 'lifeboat backup database'.",
  ]);
  for (const line of text.split('\n')) expect(line.length).toBeLessThanOrEqual(80);
});
