import { expect, test } from 'vitest';
import { refuseSecretArguments } from './secret-argument.ts';

test.each([
  [
    ['init', '--postgres', 'postgres://me:hushed@db/shop'],
    /^the address of --postgres holds a password$/,
    'PGPASSWORD',
  ],
  [['init', '--redis=rediss://:hushed@cache'], /^the address of --redis holds a password$/, 'REDIS_PASSWORD'],
  [['restore', 'a', '--to=postgresql://db/x?sslmode=require&password=hushed'], /--to/, 'PGPASSWORD'],
  [['restore', 'a', '--to', 'postgres://db/x?sslpassword=hushed'], /--to/, 'PGPASSWORD'],
  [['snapshots', '-r', 's3://b/p?endpoint=https://key:hushed@store'], /^the address of -r holds/, 'environment'],
  [['ls', 'https://me:hushed@host/'], /^an address among the arguments holds a password$/, 'environment'],
])('a password in %j is refused, with another way, and is not repeated', (args, message, way) => {
  expect(() => refuseSecretArguments(args)).toThrow(
    expect.objectContaining({
      code: 'SECRET_IN_ARGUMENT',
      message: expect.stringMatching(message),
      hint: expect.stringContaining(way),
    }),
  );
  expect(() => refuseSecretArguments(args)).not.toThrow(/hushed/);
});

test.each([
  'postgres://me@db:5432/shop',
  'postgres://me:@db/shop',
  'redis://cache:6379/0',
  's3://bucket/a:b@c?endpoint=https://store:9000',
  '/srv/a:b@c',
  'https://host:80/x@y',
  'password=none',
])('%s holds none', (argument) => {
  expect(() => refuseSecretArguments(['restore', 'x', '--to', argument])).not.toThrow();
});
