// Restic's answers to the same patterns are compared in test/integration/files-like-restic.test.ts.
import { expect, test } from 'vitest';
import { pathPatterns } from './path-patterns.ts';

test.each<[string[], string, boolean]>([
  [['*.tmp'], '/srv/a.tmp', true],
  [['*.tmp'], '/srv/a.tmp.txt', false],
  [['*.tmp'], '/srv/.tmp', true],
  [['node_modules'], '/srv/node_modules/x/y', true],
  [['node_modules'], '/srv/node_modules2', false],
  [['/srv/cache'], '/srv/cache', true],
  [['/srv/cache'], '/mnt/srv/cache', false],
  [['srv/cache/'], '/mnt/srv/cache', true],
  [['/srv/**/log'], '/srv/log', true],
  [['/srv/**/log'], '/srv/a/b/log', true],
  [['a?c'], '/a/c', false],
  [['a?c'], '/a\u{1f600}c', true],
  [['a[!b]c'], '/a!c', true],
  [['a[^b]c'], '/abc', false],
  [['a[^b]c'], '/a/c', false],
  [['a[b-d]'], '/ac', true],
  [[String.raw`a\*`], '/a*', true],
  [[String.raw`a\*`], '/ab', false],
  [['a.b'], '/aXb', false],
  [['a{b,c}'], '/ab', false],
  [['(a|b)+$^'], '/(a|b)+$^', true],
  [['*', '!keep'], '/keep', false],
  [['!keep', '*'], '/keep', true],
  [[String.raw`\!keep`], '/!keep', true],
  [['bad\udcff'], '/bad\udcff', true],
  [['ba?'], '/ba\udcff', true],
  [['a\nb'], '/a\nb', true],
  [['*'], '/a\nb', true],
  [[], '/a', false],
])('%j against %j: %j', (patterns, path, expected) => {
  expect(pathPatterns(patterns)(path)).toBe(expected);
});

test('case counts unless it is asked not to', () => {
  expect(pathPatterns(['/SRV/*.PDF'])('/srv/a.pdf')).toBe(false);
  expect(pathPatterns(['/SRV/*.PDF', '![A-C].pdf'], { ignoreCase: true })('/srv/x.pdf')).toBe(true);
});

test.each(['', '!', 'a[', 'a[]', 'a[b', 'a[z-a]', 'a[b-', 'a[-]', 'a\\'])(
  'pattern %j is refused with the pattern in the message',
  (pattern) => {
    expect(() => pathPatterns(['fine', pattern])).toThrow(
      expect.objectContaining({
        code: 'CONFIG_INVALID',
        message: expect.stringContaining(`'${pattern.replace('!', '')}'`),
      }),
    );
  },
);
