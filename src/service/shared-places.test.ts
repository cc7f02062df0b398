import { expect, test } from 'vitest';
import { parseConfiguration } from '../config/load.ts';
import type { Application } from '../model/application.ts';
import { sharedPlaces, sharedWithin, stateAmongOthers } from './shared-places.ts';

function applicationOf(name: string, rest: string, variables: Record<string, string> = {}): Application {
  const environment = { variables, workingFolder: '/', homeFolder: '/' };
  const text = `application: ${name}\n${rest}`;
  return parseConfiguration(text, { path: `/srv/${name}/lifeboat.yaml`, environment }).application;
}

test('a repository and data of two applications are told, by name and without secrets', () => {
  const same = `repositories: { main: { location: s3://bucket/all } }
components:
  database: { type: postgres, url: 'postgres://app:secret@db/lecture' }
  cache: { type: redis }
  uploads: { type: files, paths: [/srv/uploads] }\n`;
  const variables = { REDIS_HOST: 'cache' };
  const all = ['acme', 'globex'].map((name) => applicationOf(name, same, variables));
  expect(sharedPlaces(all)).toEqual([
    'acme/main and globex/main are one repository: whoever has its password can read the backups of both',
    'acme/database and globex/database are the same data: each of the applications backs it up',
    'acme/cache and globex/cache are the same data: each of the applications backs it up',
    'acme/uploads and globex/uploads are the same data: each of the applications backs it up',
  ]);
});

test('nothing is told of what is apart, nor of what one application has twice', () => {
  const own = (name: string): string => `repositories: { a: { location: ./r }, b: { location: s3://bucket/${name} } }
components:
  database: { type: postgres, host: db, databases: [${name}] }
  rest: { type: postgres, host: db, databases: [${name}] }
  uploads: { type: files, paths: [./uploads] }\n`;
  expect(sharedPlaces(['acme', 'globex'].map((name) => applicationOf(name, own(name))))).toEqual([]);
});

test('the state of a server among the backups of the first of several is told, unless its file says where it goes', () => {
  const own = (service: string): string =>
    `repositories: { a: { location: ./a }, b: { location: ./b } }\ncomponents: { uploads: { type: files, paths: [./u] } }\n${service}`;
  const [said, other] = [
    applicationOf('acme', own('service: { selfBackup: { repositories: [b] } }')),
    applicationOf('globex', own('')),
  ];
  expect(stateAmongOthers([other, said])).toBe(
    'the state of the server, with the files, users and runs of 2 applications, goes into globex/a and globex/b, and service.selfBackup.repositories does not say so',
  );
  expect(stateAmongOthers([said, other])).toBeUndefined();
  expect(stateAmongOthers([other])).toBeUndefined();
  expect(stateAmongOthers([applicationOf('acme', own('service: { selfBackup: false }')), other])).toBeUndefined();
});

test('two names of one place in one file are told', () => {
  const places = `repositories: { a: { location: ./r }, b: { location: /srv/acme/r/ }, c: { location: ./other } }
components: { uploads: { type: files, paths: [./u] } }\n`;
  expect(sharedWithin(applicationOf('acme', places))).toEqual(['a and b are one place: /srv/acme/r']);
});
