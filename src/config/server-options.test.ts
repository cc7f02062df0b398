import { expect, test } from 'vitest';
import { componentSchema, type Component } from '../model/component.ts';
import { completePolicy } from '../model/policy.ts';
import { postgresOptions, redisAddress } from './server-options.ts';

const environment = { variables: {}, workingFolder: '/', homeFolder: '/' };

function component<Type extends 'postgres' | 'redis'>(
  type: Type,
  settings: Record<string, string>,
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
