// Months of an archive, by name and by time.
import { expect, test } from 'vitest';
import { monthAt, monthNamed, monthOf, monthsBefore } from './archive.ts';
import { repositorySchema, type RepositorySettings } from './repository-settings.ts';

const named = (name: string, settings: object): RepositorySettings => {
  const { location = '', ...rest } = repositorySchema.parse(settings);
  return { ...rest, name, location };
};
const archive = named('archive', { location: 's3://bkt/shop?region=eu-west-1', archive: 'monthly' });
const plain = named('plain', { location: '/srv/b' });

test('a month begins at midnight in UTC, and months go back over years', () => {
  expect(monthAt(Date.UTC(2026, 10, 30, 23, 59))).toBe('2026-11');
  expect(monthAt(Date.UTC(2026, 11, 1))).toBe('2026-12');
  expect(monthsBefore(Date.UTC(2026, 0, 31), 3)).toEqual(['2026-01', '2025-12', '2025-11']);
});

test('a month lies below its archive, also where the address has parameters, and is no archive itself', () => {
  expect(monthOf(archive, '2026-11')).toMatchObject({
    name: 'archive/2026-11',
    location: 's3://bkt/shop/2026-11?region=eu-west-1',
    archive: undefined,
  });
});

test('only months of archives have such names', () => {
  const known = [plain, archive];
  expect(monthNamed('archive/2026-11', known)?.location).toContain('/2026-11');
  for (const other of ['archive/2026-13', 'plain/2026-11', 'archive', '2026-11', '/2026-11']) {
    expect(monthNamed(other, known)).toBeUndefined();
  }
});

test('a bucket may archive and expire nothing but whole months', () => {
  const settings = (bucket: object, more: object = {}) =>
    repositorySchema.safeParse({ location: 's3://bkt', s3: { tagBulkData: true, bucket }, ...more }).success;
  const rules = { infrequentAfter: '30d', archiveAfter: '90d', expireAfter: '365d' };
  expect(settings(rules, { archive: 'monthly' })).toBe(true);
  expect(settings(rules)).toBe(false);
  expect(settings({ expireAfter: '365d' })).toBe(false);
  expect(settings({ ...rules, expireAfter: '60d' }, { archive: 'monthly' })).toBe(false);
  expect(settings({ infrequentAfter: '90d', archiveAfter: '60d' }, { archive: 'monthly' })).toBe(false);
});
