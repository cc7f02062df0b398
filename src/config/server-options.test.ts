import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { temporaryFolder } from '../../test/support/temporary-folder.ts';
import { componentSchema, type Component } from '../model/component.ts';
import { completePolicy } from '../model/policy.ts';
import { postgresOptions, redisAddress } from './server-options.ts';

const environment = { variables: {}, workingFolder: '/', homeFolder: '/' };

function component<Type extends 'postgres' | 'redis'>(
  type: Type,
  settings: Readonly<Record<string, string | undefined>>,
): Extract<Component, { type: Type }> {
  const parsed = componentSchema.parse({ type, ...settings });
  return { ...parsed, name: 'one', policy: completePolicy({ checks: [] }, []) } as Extract<Component, { type: Type }>;
}

test('parts of a URL are decoded; a percent sign that encodes nothing stands for itself', () => {
  const url = 'postgres://m%40e:100%pure@db.example:6000/sh%2Fop';
  expect(postgresOptions(component('postgres', { url }), environment)).toMatchObject({
    user: 'm@e',
    password: '100%pure',
    host: 'db.example',
    port: 6000,
    databases: ['sh/op'],
  });
});

test('a redis server on a socket gets the user and the password of the component', () => {
  const settings = { url: 'unix:///run/re%20dis.sock', username: 'backup', password: 'secret' };
  expect(redisAddress(component('redis', settings))).toMatchObject({
    socketPath: '/run/re dis.sock',
    username: 'backup',
    password: 'secret',
  });
});

test('TLS is set as libpq would: by the url, the file, the variables, the files in the home folder', async () => {
  await using home = await temporaryFolder();
  const at = { variables: {}, workingFolder: '/', homeFolder: home.path };
  const ssl = (settings: Record<string, string>, variables: Record<string, string> = {}) =>
    postgresOptions(component('postgres', settings), { ...at, variables }).ssl;
  expect(ssl({})).toEqual({ mode: 'prefer' });
  expect(ssl({ sslmode: 'allow', sslnegotiation: 'postgres' })).toEqual({ mode: 'prefer', negotiation: 'postgres' });
  expect(ssl({ sslrootcert: 'system' })).toEqual({ mode: 'verify-full', rootCertificateFile: 'system' });
  const variables = {
    PGSSLMODE: 'require',
    PGSSLROOTCERT: '/v.root',
    PGSSLCERT: '/v.crt',
    PGSSLKEY: '/v.key',
    PGSSLNEGOTIATION: 'direct',
  };
  const client = { certificateFile: '/v.crt', keyFile: '/v.key', keyPassword: 'secret' };
  const ofVariables = { mode: 'verify-ca', rootCertificateFile: '/v.root', negotiation: 'direct', client };
  expect(ssl({ sslpassword: 'secret' }, variables)).toEqual(ofVariables);
  const url = 'postgres://db/shop?sslmode=verify-full&sslcert=/u.crt&sslpassword=secret';
  expect(ssl({ url, sslrootcert: '/f.root', sslcert: '/f.crt' }, variables)).toEqual({
    ...ofVariables,
    mode: 'verify-full',
    rootCertificateFile: '/f.root',
    client: { ...client, certificateFile: '/u.crt' },
  });
  await mkdir(join(home.path, '.postgresql'));
  for (const name of ['root.crt', 'postgresql.crt']) await writeFile(join(home.path, '.postgresql', name), '');
  const inHome = (name: string): string => join(home.path, '.postgresql', name);
  expect(ssl({ sslmode: 'require' })).toEqual({
    mode: 'verify-ca',
    rootCertificateFile: inHome('root.crt'),
    client: { certificateFile: inHome('postgresql.crt'), keyFile: inHome('postgresql.key') },
  });
});

test.each([
  [{ url: 'postgres://db?sslmode=often' }, {}, /unknown sslmode 'often'/],
  [{ url: 'postgres://db?sslnegotiation=none' }, {}, /unknown sslnegotiation 'none'/],
  [{ sslmode: 'require', sslrootcert: 'system' }, {}, /is system, but sslmode is require/],
  [{}, { PGSSLMODE: 'sometimes' }, /unknown sslmode 'sometimes'/],
])('settings of TLS that say nothing are refused: %j %j', (settings, variables, message) => {
  const at = { ...environment, variables };
  expect(() => postgresOptions(component('postgres', settings), at)).toThrow(
    expect.objectContaining({ code: 'CONFIG_INVALID', message: expect.stringMatching(message) }),
  );
});
