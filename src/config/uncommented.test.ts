// Comments are left out, and nothing else.
import { readFileSync } from 'node:fs';
import { glob } from 'node:fs/promises';
import { parse } from 'yaml';
import { expect, test } from 'vitest';
import { withoutComments } from './uncommented.ts';

test('what comments say is gone; what only looks like one stays, at its place', () => {
  const text = `# password: hunter2
a: b # hunter2
c: 'not # one' # hunter2
d: "# none" # hunter2
e: | # hunter2
  # in a text
  more
f: b#none
g: [a, # hunter2
  '#b']
h: #hunter2
  - - 1
  # hunter2
--- # hunter2
#hunter2`;
  const left = withoutComments(text);
  expect(left).not.toContain('hunter2');
  expect(left).toContain("c: 'not # one' \n");
  expect(left).toContain('d: "# none" \n');
  expect(left).toContain('  # in a text\n');
  expect(left).toContain('f: b#none\n');
  expect(left).toContain("  '#b']\n");
  expect(left.split('\n')).toHaveLength(text.split('\n').length);
});

test('examples mean the same without them', async () => {
  const paths = await Array.fromAsync(glob('examples/**/*.yaml'));
  expect(paths).not.toEqual([]);
  for (const path of paths) {
    for (const text of [readFileSync(path, 'utf8'), readFileSync(path, 'utf8').replaceAll('\n', '\r\n')])
      expect(parse(withoutComments(text))).toEqual(parse(text));
  }
});
