import { expect, test } from 'vitest';
import { repositorySchema } from '../model/repository-settings.ts';
import { chooseRepository } from './choose-repository.ts';

const environment = { variables: { AWS_REGION: 'eu-north-1' }, workingFolder: '/app', homeFolder: '/' };
const repositories = ['local', 'offsite'].map((name) => ({
  ...repositorySchema.parse({ compression: 'max' }),
  name,
  location: `/srv/${name}`,
}));

test('takes the first one unless one is named, by name or by location', () => {
  expect(chooseRepository(undefined, repositories, environment).name).toBe('local');
  expect(chooseRepository('offsite', repositories, environment).name).toBe('offsite');
  expect(chooseRepository('/srv/offsite', repositories, environment)).toMatchObject({
    name: 'offsite',
    compression: 'max',
  });
});

test('takes any location, without a file too', () => {
  expect(chooseRepository('./backups', [], environment)).toMatchObject({ location: '/app/backups' });
  expect(chooseRepository('s3://bucket/x', [], environment)).toMatchObject({
    location: 's3://bucket/x',
    s3: { region: 'eu-north-1' },
  });
});

test.each([
  ['ofsite', 'NOT_FOUND', "Use 'offsite'"],
  ['backups', 'NOT_FOUND', "Write './backups'"],
  ['ftp://host/x', 'USAGE', 's3://bucket'],
])('refuses %s with %s', (named, code, hint) => {
  const refused = expect.objectContaining({ code, hint: expect.stringContaining(hint) as string }) as object;
  expect(() => chooseRepository(named, repositories, environment)).toThrow(refused);
});

test('says so when there is no repository at all, unless a bucket is named by the variables', () => {
  const refused = expect.objectContaining({
    code: 'CONFIG_MISSING',
    hint: expect.stringContaining('S3_BACKUP_BUCKET') as string,
  }) as object;
  expect(() => chooseRepository(undefined, [], environment)).toThrow(refused);
  const word = expect.objectContaining({
    message: "there is no repository 'flip': no lifeboat.yaml names any",
  }) as object;
  expect(() => chooseRepository('flip', [], environment)).toThrow(word);
  const withBucket = { ...environment, variables: { ...environment.variables, S3_BACKUP_BUCKET: 'bkt' } };
  expect(chooseRepository(undefined, [], withBucket)).toMatchObject({
    location: 's3://bkt',
    s3: { region: 'eu-north-1' },
  });
  expect(chooseRepository(undefined, repositories, withBucket).name).toBe('local');
});
