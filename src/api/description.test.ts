import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { apiDescription, apiReference } from './description.ts';
import { routes } from './routes.ts';

const file = (path: string): string => readFileSync(new URL(`../../docs/reference/${path}`, import.meta.url), 'utf8');

describe('what is generated from the routes is up to date (else run node scripts/generate-docs.ts)', () => {
  test('api.md', () => {
    expect(file('api.md')).toBe(apiReference(routes));
  });

  test('openapi.json', async () => {
    expect(JSON.parse(file('openapi.json'))).toEqual(JSON.parse(JSON.stringify(await apiDescription(routes))));
  });
});

test('no two routes are the same, and each says what is answered', () => {
  const names = routes.map(({ method, path }) => `${method} ${path}`);
  expect(new Set(names).size).toBe(names.length);
  expect(routes.filter(({ answers }) => Object.keys(answers).length === 0)).toEqual([]);
});

test('a body that may be left out is not required, and others are', async () => {
  const bodies = z.object({ post: z.object({ requestBody: z.object({ required: z.boolean() }) }) });
  const { paths } = z.object({ paths: z.record(z.string(), z.unknown()) }).parse(await apiDescription(routes));
  const isRequired = (path: string): boolean => bodies.parse(paths[path]).post.requestBody.required;
  expect(isRequired('/api/v1/system/cache/warmup')).toBe(false);
  expect(isRequired('/api/v1/system/backup')).toBe(true);
});
