import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { errorKinds } from '../base/errors.ts';
import { globalOptions } from './options.ts';
import { configurationReference, errorsReference, optionsReference } from './reference.ts';
import { keysAt } from './schema-walk.ts';
import { configurationJsonSchema, editorJsonSchema, type SchemaNode } from './schema.ts';

function file(path: string): string {
  return readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');
}

describe('what is generated from declarations is up to date (else run node scripts/generate-docs.ts)', () => {
  test('options.md', () => {
    expect(file('docs/reference/options.md')).toBe(optionsReference(globalOptions));
  });

  test('configuration.md', () => {
    expect(file('docs/reference/configuration.md')).toBe(configurationReference(configurationJsonSchema()));
  });

  test('errors.md, which names every code of the table and no other', () => {
    const page = file('docs/reference/errors.md');
    expect(page).toBe(errorsReference(errorKinds));
    const codes = Array.from(page.matchAll(/^\| `([A-Z_]+)`/gm), ([, code]) => code);
    expect(codes).toEqual(Object.keys(errorKinds));
  });

  test('lifeboat.schema.json (else run node scripts/generate-schema.ts)', () => {
    expect(JSON.parse(file('lifeboat.schema.json'))).toEqual(editorJsonSchema());
  });

  test('lifeboat.schema.json wants no repositories: an editor does not see S3_BACKUP_BUCKET', () => {
    expect(JSON.parse(file('lifeboat.schema.json'))).toMatchObject({
      else: { required: ['application', 'components'] },
    });
  });
});

test('lifeboat.schema.json wants nothing of a file that extends another, but knows its keys', () => {
  const { required, properties = {} } = JSON.parse(file('lifeboat.schema.json')) as SchemaNode;
  expect(required).toBeUndefined();
  expect(Object.keys(properties)).toEqual(keysAt(configurationJsonSchema(), {}, []));
});

test('every key that an option names exists in lifeboat.yaml', () => {
  const schema = configurationJsonSchema();
  const named = Object.values(globalOptions).flatMap(({ configKey }) => configKey ?? []);
  expect(named.length).toBeGreaterThan(0);
  for (const key of named) {
    const path = key.split('.');
    expect(keysAt(schema, {}, path.slice(0, -1)), `key ${key}`).toContain(path.at(-1));
  }
});

test('every key of lifeboat.yaml is described', () => {
  const undescribed = configurationReference(configurationJsonSchema())
    .split('\n')
    .filter((line) => /^\| `\w+` .*\|\s+\|$/.test(line));
  expect(undescribed).toEqual([]);
});

test('links in the page lead to its own headings', () => {
  const page = configurationReference(configurationJsonSchema());
  const headings = new Set(
    Array.from(page.matchAll(/^## (.*)$/gm), ([, title = '']) =>
      title.toLowerCase().replaceAll(/[.:]/g, '').replaceAll(' ', '-'),
    ),
  );
  const links = Array.from(page.matchAll(/\(#([^)]+)\)/g), ([, anchor]) => anchor);
  expect(links.length).toBeGreaterThan(10);
  expect(links.filter((anchor) => anchor === undefined || !headings.has(anchor))).toEqual([]);
});
