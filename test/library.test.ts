// The package as a library: what it exports is there, is documented, and does what the page shows.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { backupFolder, createRepository, testPassword } from './support/repository.ts';
import { temporaryFolder } from './support/temporary-folder.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const page = readFileSync(join(root, 'docs/library.md'), 'utf8');
const { exports } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
  exports: Record<string, { readonly types: string; readonly default: string }>;
};

test('each export is a file of its name, and stands on the page', () => {
  for (const [name, { types, default: file }] of Object.entries(exports)) {
    expect([types, file]).toEqual([name.replace('./', './dist/') + '.d.ts', name.replace('./', './dist/') + '.js']);
    expect([name, existsSync(join(root, 'src', `${name}.ts`))]).toEqual([name, true]);
  }
  const documented = [...page.matchAll(/^\| `lifeboat(\/[^`]+)`/gm)].map(([, path]) => `.${path}`);
  expect(documented.toSorted()).toEqual(Object.keys(exports).toSorted());
});

test('the example of the page prints a file of the newest snapshot', async () => {
  await using folder = await temporaryFolder();
  mkdirSync(join(folder.path, 'data'));
  writeFileSync(join(folder.path, 'data/file'), 'content');
  await backupFolder(await createRepository(folder.path), join(folder.path, 'data'));
  const [, example = ''] = /```ts\n([^]*?)```/.exec(page) ?? [];
  const script = join(folder.path, 'example.ts');
  // From the sources: the package is not built here.
  writeFileSync(script, example.replaceAll(/'lifeboat\/(.*)'/g, `'${join(root, 'src')}/$1.ts'`));
  const args = [script, join(folder.path, 'repository'), join(folder.path, 'data/file')];
  const env = { ...process.env, LIFEBOAT_PASSWORD: testPassword };
  expect(execFileSync(process.execPath, args, { encoding: 'utf8', env })).toBe('content');
});
