import { expect, test } from 'vitest';
import { styleText } from 'node:util';
import { ageWords, elapsedWords, factLines, findingLines, plainStyle, shellLines, wrap } from './style.ts';

const style = plainStyle({ nowMs: Date.parse('2026-11-20T12:01:01.620Z') });

test('ages and durations show no milliseconds', () => {
  expect(ageWords('2026-11-20T12:00:00Z', style)).toBe('1m 1s ago');
  expect(elapsedWords(60_620)).toBe('1m');
});

test('facts stay whole where they are searched, and fit a terminal; neither steers it', () => {
  const facts = 'lifeboat.yaml has 2 problems\n  lifeboat.yaml:3:5: found a\tlong \u001B[31mstory of a value';
  expect(factLines(facts, style)).toEqual([
    'lifeboat.yaml has 2 problems',
    '  lifeboat.yaml:3:5: found a long ?[31mstory of a value',
  ]);
  expect(factLines(facts, { ...style, isTerminal: true, widthColumns: 40 }, ' ')).toEqual([
    ' lifeboat.yaml has 2 problems',
    '   lifeboat.yaml:3:5: found a long',
    '     ?[31mstory of a value',
  ]);
});

test('a command line that is too long goes on behind a backslash', () => {
  const command = 'npx lifeboat restore database --at 2026-11-20T12:00:00Z --to ./recovered --dry-run';
  expect(shellLines(command, 78)).toEqual([
    'npx lifeboat restore database --at 2026-11-20T12:00:00Z --to ./recovered \\',
    '  --dry-run',
  ]);
  expect(shellLines('lifeboat status', 78)).toEqual(['lifeboat status']);
});

test('a number stays with its unit, and colours take no room', () => {
  expect(wrap('restored to /srv/shop in 1.4 s', 27)).toEqual(['restored to /srv/shop in', '1.4 s']);
  const red = styleText('red', 'failed', { validateStream: false });
  expect(wrap(`${red} to go on as before`, 20)).toEqual([`${red} to go on as`, 'before']);
});

test('a long aspect is broken within its column, so that all messages begin in the same one', () => {
  const hint = 'Give the backup role the right to read it, by a grant of the owner.';
  const lines = findingLines(
    [
      { aspect: 'connection', outcome: 'passed', message: 'PostgreSQL 15.18 at db.internal.example' },
      {
        aspect: 'repository a-name-that-somebody-made-rather-long',
        outcome: 'warning',
        message: 'it was looked at, and something was found that takes more than one line to say',
        hint,
      },
    ],
    style,
  );
  expect(lines.join('\n')).toMatchInlineSnapshot(`
    "ok       connection                    PostgreSQL 15.18 at db.internal.example
    warning  repository                    it was looked at, and something was found
             a-name-that-somebody-made-ra  that takes more than one line to say
             ther-long                     hint: Give the backup role the right to
                                           read it, by a grant of the owner."
  `);
  for (const line of lines) expect(line.length).toBeLessThanOrEqual(80);
});
