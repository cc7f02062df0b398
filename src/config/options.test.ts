import { describe, expect, test } from 'vitest';
import { repositorySchema } from '../model/repository-settings.ts';
import type { Environment } from './environment.ts';
import { defaultCacheFolder, globalOptions, resolveOptions, type GivenFlags } from './options.ts';

const repository = {
  ...repositorySchema.parse({ limits: { upload: '1 MB' } }),
  name: 'local',
  location: '/srv/backups',
};

function resolve(flags: GivenFlags, variables: Record<string, string> = {}) {
  const environment: Environment = { variables, workingFolder: '/app', homeFolder: '/home/me' };
  return resolveOptions(globalOptions, { flags, environment, configured: { repository, cacheFolder: undefined } });
}

describe('resolveOptions', () => {
  test('prefers flag, then variable, then lifeboat.yaml, then default', () => {
    const variables = { LIFEBOAT_LIMIT_UPLOAD: '2 MB' };
    expect(resolve({ limitUpload: '3 MB' }, variables).values.limitUpload).toBe(3e6);
    expect(resolve({}, variables).values.limitUpload).toBe(2e6);
    expect(resolve({}).values.limitUpload).toBe(1e6);
    expect(resolve({}).values.limitDownload).toBeUndefined();
    const { origins } = resolve({ json: true }, { LIFEBOAT_QUIET: 'yes' });
    expect(origins).toMatchObject({ json: 'flag', quiet: 'environment', limitUpload: 'config', cache: 'default' });
  });

  test('takes a switch that is off for a value', () => {
    expect(resolve({ cache: false }, { LIFEBOAT_CACHE: 'true' }).values.cache).toBe(false);
    expect(resolve({}, { LIFEBOAT_CACHE: '0' }).values.cache).toBe(false);
  });

  test('takes a variable that is set to nothing for absent', () => {
    expect(resolve({}, { LIFEBOAT_LIMIT_UPLOAD: '' }).values.limitUpload).toBe(1e6);
  });

  test('names the flag or the variable whose value is no good', () => {
    expect(() => resolve({ limitUpload: 'fast' })).toThrow(
      expect.objectContaining({
        code: 'USAGE',
        message: expect.stringContaining("--limit-upload <rate>: found 'fast'"),
      }),
    );
    expect(() => resolve({}, { LIFEBOAT_JSON: 'perhaps' })).toThrow(
      expect.objectContaining({
        code: 'CONFIG_INVALID',
        message: "LIFEBOAT_JSON: found 'perhaps', expected true or false",
      }),
    );
  });
});

test('no secret can be given as a flag', () => {
  const declarations = Object.values(globalOptions);
  expect(declarations.filter((declaration) => declaration.secret && declaration.flag !== undefined)).toEqual([]);
  expect(declarations.some((declaration) => declaration.secret)).toBe(true);
});

test('the cache is in the folder that the desktop standard names', () => {
  const environment = { workingFolder: '/', homeFolder: '/home/me' };
  expect(defaultCacheFolder({ ...environment, variables: {} })).toBe('/home/me/.cache/lifeboat');
  expect(defaultCacheFolder({ ...environment, variables: { XDG_CACHE_HOME: '/x' } })).toBe('/x/lifeboat');
});
