import { expect, test } from 'vitest';
import { compileGlob } from './glob.ts';

test.each([
  ['*-40.csv', '/srv/report-40.csv', true],
  ['*-40.csv', '/srv/report-4.csv', false],
  ['a.b', '/srv/aXb', false],
  ['/srv/**/x-{1}.txt', '/srv/a/b/x-{1}.txt', true],
  ['/srv/*/x', '/srv/a/b/x', false],
  ['report-[a-c&~].csv', '/r/report-b.csv', true],
  ['report-[a-c&~].csv', '/r/report-~.csv', true],
  ['report-[!a-c].csv', '/r/report-b.csv', false],
  ['[]^]', '/r/^', true],
  [String.raw`\*\-x`, '/r/*-x', true],
  ['?', '/r/é', true],
])('%s on %s: %s', (pattern, path, fits) => expect(compileGlob(pattern)(path)).toBe(fits));

test('every printable character stands for itself, or for a pattern that compiles', () => {
  for (let code = 32; code < 127; code += 1) {
    const character = String.fromCharCode(code);
    if (character === '/' || character === '\\') continue;
    expect(compileGlob(`a${character}b`)(`/a${character}b`), character).toBe(character !== '[' || compileGlob('a[b')('/a[b'));
  }
});
