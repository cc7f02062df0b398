import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { probeSchema, type DampingSettings, type ProbeOutcome } from '../../model/probe.ts';
import { damp } from './damping.ts';

const settings: DampingSettings = probeSchema.parse({ type: 'disk', path: '/' }).damping;
const dampings: fc.Arbitrary<DampingSettings> = fc
  .record({
    of: fc.integer({ min: 1, max: 8 }),
    better: fc.integer({ min: 1, max: 6 }),
    flappingWindow: fc.integer({ min: 4, max: 20 }),
    flappingStart: fc.double({ min: 0.2, max: 1, noNaN: true }),
    flappingStop: fc.double({ min: 0, max: 0.19, noNaN: true }),
  })
  .chain((rest) => fc.integer({ min: 1, max: rest.of }).map((worse) => ({ ...rest, worse })));
const outcomes = fc.constantFrom<ProbeOutcome>('up', 'degraded', 'down', 'unknown');
const histories = fc.array(outcomes, { maxLength: 60 });

/** One letter a look: up, degraded, down, `?`; the outcome after each. */
function story(looks: string): string {
  const words: Record<string, ProbeOutcome> = { u: 'up', g: 'degraded', d: 'down', '?': 'unknown' };
  const letters = Object.fromEntries(Object.entries(words).map(([letter, word]) => [word, letter]));
  const history = Array.from(looks, (letter) => words[letter] ?? 'unknown');
  return history.map((_, at) => letters[damp(history.slice(0, at + 1), settings).outcome]).join('');
}

describe('by default', () => {
  test.each([
    ['uuduuu', 'uuuuuu', 'one bad look changes nothing'],
    ['uuddd', 'uuudd', 'two of three are believed'],
    ['uududd', 'uuuudd', 'also with a good one in between'],
    ['dd', '?d', 'it takes as many at the beginning'],
    ['gd', '?g', 'of a degraded and a down look both were at least degraded'],
    ['uudduduu', 'uuuddddu', 'two good ones in a row end it'],
    ['uuddgguu', 'uuuddggu', 'what is no longer down may still be degraded'],
    ['uu??uu', 'uuu?uu', 'what was not seen twice is unknown, until it is seen'],
    ['uu?u?d?d', 'uuuuuuud', 'what was not seen counts neither way'],
  ])('%s becomes %s: %s', (looks, said) => {
    expect(story(looks)).toBe(said);
  });
});

test('what is so all the time is said to be so, and not to flap', () => {
  fc.assert(
    fc.property(histories, outcomes, dampings, (before, outcome, given) => {
      const many = Array.from<ProbeOutcome>({ length: 30 }).fill(outcome);
      const { outcome: said, isFlapping } = damp([...before, ...many], given);
      expect(said).toBe(outcome);
      expect(isFlapping && outcome !== 'unknown').toBe(false);
    }),
  );
});

/** Whether a change of what is said was earned by the looks so far. */
function isEarned(
  change: readonly [ProbeOutcome, ProbeOutcome],
  looks: readonly ProbeOutcome[],
  given: DampingSettings,
) {
  const [before, after] = change;
  const seen = looks.filter((one) => one !== 'unknown');
  if (after === before) return true;
  if (after === 'down') {
    return looks.at(-1) === 'down' && seen.slice(-given.of).filter((one) => one === 'down').length >= given.worse;
  }
  if (after !== 'up') return looks.at(-1) !== 'up' || before === 'down';
  const last = before === 'unknown' ? seen.slice(-1) : seen.slice(-given.better);
  return looks.at(-1) === 'up' && last.every((one) => one === 'up');
}

test('it is never said to be down, or up, by less than the looks that this takes', () => {
  fc.assert(
    fc.property(histories, dampings, (history, given) => {
      history.forEach((_, at) => {
        const before = damp(history.slice(0, at), given).outcome;
        const looks = history.slice(0, at + 1);
        const after = damp(looks, given).outcome;
        expect(isEarned([before, after], looks, given), `${before} became ${after} by ${looks.join(' ')}`).toBe(true);
      });
    }),
  );
});

test('what goes up and down at every look flaps, and no longer once it has been quiet for a window', () => {
  fc.assert(
    fc.property(dampings, (given) => {
      const wild = Array.from({ length: 40 }, (_, at): ProbeOutcome => (at % 2 === 0 ? 'up' : 'down'));
      const quiet = Array.from<ProbeOutcome>({ length: given.flappingWindow }).fill('up');
      expect(damp(wild, given).isFlapping).toBe(true);
      expect(damp([...wild, ...quiet], given).isFlapping).toBe(false);
    }),
  );
});

test('it goes on to flap for a while at a share of changes by which it would not begin to', () => {
  const changes = (looks: number): ProbeOutcome[] =>
    Array.from({ length: looks }, (_, at): ProbeOutcome => (at % 2 === 0 ? 'up' : 'down'));
  const quiet = Array.from<ProbeOutcome>({ length: 14 }).fill('up');
  // The last 20 looks are the same in both.
  expect(damp([...changes(20), ...quiet], settings).isFlapping).toBe(true);
  expect(damp([...changes(6), ...quiet], settings).isFlapping).toBe(false);
});

test('it lasts since the look that made it so', () => {
  fc.assert(
    fc.property(fc.array(outcomes, { minLength: 1, maxLength: 40 }), dampings, (history, given) => {
      const { outcome, lasted } = damp(history, given);
      const said = history.map((_, at) => damp(history.slice(0, at + 1), given).outcome);
      const others = said.findLastIndex((one) => one !== outcome);
      // Before the first look nothing was known, which counts as nothing.
      expect(lasted).toBe(said.length - 1 - others);
    }),
  );
});
