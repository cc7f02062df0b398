import { expect, test } from 'vitest';
import { AppError } from '../../base/errors.ts';
import { parseDatabases, parseTarget } from './restore-target.ts';

const origin = { host: 'cache.example', port: 6380, username: 'app', password: 'geheim', tls: { ca: 'PEM' } };
const credentials = { username: 'app', password: 'geheim' };

test('without a target the data goes where it came from', () => {
  expect(parseTarget(undefined, origin)).toEqual({ kind: 'server', address: origin });
});

test.each([
  ['redis://other', { host: 'other', port: 6379, tls: undefined }],
  ['redis://other:7000/', { host: 'other', port: 7000, tls: undefined }],
  ['redis://[::1]:7000', { host: '::1', port: 7000, tls: undefined }],
  ['rediss://other:7000', { host: 'other', port: 7000, tls: { ca: 'PEM' } }],
])('%s is a server, reached with the credentials of the component', (to, address) => {
  expect(parseTarget(to, origin)).toEqual({ kind: 'server', address: { ...address, ...credentials } });
});

test.each([
  ['/var/lib/redis', '/var/lib/redis', 'dump.rdb'],
  ['/var/lib/redis/', '/var/lib/redis', 'dump.rdb'],
  ['/data/other.rdb', '/data', 'other.rdb'],
])('%s is a folder of a stopped server', (to, folder, fileName) => {
  expect(parseTarget(to, origin)).toEqual({ kind: 'folder', folder, fileName });
});

test.each([
  'other:6379',
  'http://other',
  'redis://',
  'redis://other/3',
  './data',
  'redis://:x@other',
  'redis://u@other',
])('%s is no target', (to) => {
  expect(() => parseTarget(to, origin)).toThrow(AppError);
});

test('databases are named db3 or 3, and nothing else', () => {
  expect(parseDatabases(['db3', '0'])).toEqual([3, 0]);
  for (const name of ['db', 'x1', '-1', 'db1 ']) expect(() => parseDatabases([name])).toThrow(AppError);
});
