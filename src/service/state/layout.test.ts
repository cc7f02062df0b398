import { expect, test } from 'vitest';
import { filesIn, newManifest } from './layout.ts';

const facts = {
  service: 's',
  generation: 1,
  takenAtMs: 1,
  host: 'h',
  program: 'lifeboat',
  catalog: 'sqlite',
  migrations: [],
  rows: {},
  templates: [],
  configurations: [],
  hasAuditKey: false,
} as const;
const named = (name: string) => ({ name, path: `/srv/${name}` });

test('a file that is of an application and extended by another is one file, and no mere template', () => {
  const own = ['lifeboat.yaml', 'staging.yaml'].map((name) => ({ ...named(name), application: name }));
  const templates = [named('lifeboat.yaml'), named('common.yaml')];
  expect(filesIn({ configurations: own, templates })).toEqual([
    { name: 'lifeboat.yaml', isTemplate: false },
    { name: 'staging.yaml', isTemplate: false },
    { name: 'common.yaml', isTemplate: true },
  ]);
});

test('what could not be read when it is needed is not written', () => {
  const made = { ...facts, migrations: [], configurations: [], templates: [named('a/b.yaml')] };
  expect(newManifest(made)).toMatchObject({ format: 'lifeboat service 1', templates: [{ name: 'a/b.yaml' }] });
  expect(() => newManifest({ ...made, templates: [named('../b.yaml')] })).toThrow(/templates/);
});
