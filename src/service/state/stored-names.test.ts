import { expect, test } from 'vitest';
import { manifestSchema } from './layout.ts';
import { storedNames } from './stored-names.ts';

const names = (...files: readonly (readonly [path: string, application: string, template?: string])[]) =>
  Object.fromEntries(storedNames(files.map(([path, application, template]) => ({ path, application, template }))));

test('files without a template are called as their application, one alone lifeboat.yaml', () => {
  expect(names(['/srv/shop.yaml', 'shop'])).toEqual({ '/srv/shop.yaml': 'lifeboat.yaml' });
  expect(names(['/srv/a/lifeboat.yaml', 'shop'], ['/x/b.yml', 'crm'])).toEqual({
    '/srv/a/lifeboat.yaml': 'shop.yaml',
    '/x/b.yml': 'crm.yaml',
  });
});

test('no two files are called alike, whatever their applications are called', () => {
  const long = 'a'.repeat(60);
  expect(names(['/x/lifeboat.yaml', 'lifeboat'], ['/y/lifeboat.yaml', 'lifeboat'], ['/z.yaml', 'lifeboat-2'])).toEqual({
    '/x/lifeboat.yaml': 'lifeboat.yaml',
    '/y/lifeboat.yaml': 'lifeboat-2.yaml',
    '/z.yaml': 'lifeboat-2-2.yaml',
  });
  expect(new Set(Object.values(names(['/x', `${long}1`], ['/y', `${long}2`]))).size).toBe(2);
});

test('files with a template keep their way to it', () => {
  expect(
    names(['/etc/lb/c/acme.yaml', 'a', '/etc/lb/t.yaml'], ['/etc/lb/c/globex.yaml', 'g', '/etc/lb/t.yaml']),
  ).toEqual({
    '/etc/lb/c/acme.yaml': 'c/acme.yaml',
    '/etc/lb/c/globex.yaml': 'c/globex.yaml',
    '/etc/lb/t.yaml': 't.yaml',
  });
  expect(names(['/srv/x/lifeboat.yaml', 'x', '/srv/x/t.yaml'])).toEqual({
    '/srv/x/lifeboat.yaml': 'lifeboat.yaml',
    '/srv/x/t.yaml': 't.yaml',
  });
  expect(names(['/srv/x.yaml', 'x', '/t/t.yaml'], ['/home/y.yaml', 'y'])).toEqual({
    '/srv/x.yaml': 'srv/x.yaml',
    '/t/t.yaml': 't/t.yaml',
    '/home/y.yaml': 'home/y.yaml',
  });
});

test('no name of a manifest leads out of the folder that it is put into', () => {
  const { name } = manifestSchema.shape.templates.unwrap().element.shape;
  const isName = (text: string): boolean => name.safeParse(text).success;
  expect(['lifeboat.yaml', 'customers/acme.yaml', 'a b/.hidden/..x'].map(isName)).toEqual([true, true, true]);
  expect(['../x', '/x', 'a/../x', 'a/..', '.', '', 'a//b', 'a/', './a', `${'a/'.repeat(64)}x`].map(isName)).toEqual(
    Array.from({ length: 10 }, () => false),
  );
});
