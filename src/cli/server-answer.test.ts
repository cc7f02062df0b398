import { describe, expect, test } from 'vitest';
import { serverOfAnswer, wrongServer } from './server-answer.ts';

describe('a server is named', () => {
  test.each([
    ['db', { host: 'db' }],
    ['127.0.0.1:5433', { host: '127.0.0.1', port: 5433 }],
    ['[::1]:5433', { host: '::1', port: 5433 }],
    ['::1', { host: '::1' }],
    ['/run/postgresql', { host: '/run/postgresql' }],
    ['postgres://me@db:5433/shop', { host: 'db', port: 5433, user: 'me', database: 'shop' }],
    ['postgresql://db', { host: 'db' }],
    ['postgres://me@db/shop?sslmode=require', { url: 'postgres://me@db/shop?sslmode=require' }],
  ])('to PostgreSQL as %s', (answer, expected) => {
    expect(serverOfAnswer('postgres', answer)).toMatchObject({ name: 'database', type: 'postgres', ...expected });
  });

  test('to Redis by URL, whose number of a database means nothing: all are backed up', () => {
    expect(serverOfAnswer('redis', 'redis://me@cache:7/1')).toMatchObject({ host: 'cache', port: 7, user: 'me' });
    expect(serverOfAnswer('redis', 'rediss://cache')).toMatchObject({ url: 'rediss://cache' });
  });
});

test('a password in the answer is kept out of what is written, which refers to its variable', () => {
  for (const [type, answer] of [
    ['postgres', 'postgres://me:hushed@db/shop'],
    ['postgres', 'postgres://me:hushed@db/shop?sslmode=require'],
    ['postgres', 'postgres://me@db/shop?password=hushed&sslmode=require'],
    ['redis', 'rediss://:hushed@cache'],
  ] as const) {
    const server = serverOfAnswer(type, answer);
    expect(JSON.stringify(server)).not.toContain('hushed');
    expect(server.passwordVariable).toBe(type === 'postgres' ? 'POSTGRES_PASSWORD' : 'REDIS_PASSWORD');
  }
});

test.each(['mysql://db/shop', 'postgres://', 'me@db', 'hushed word', 'http://db:5432'])(
  '%s is no PostgreSQL server, and is not repeated',
  (answer) => {
    expect(wrongServer('postgres', answer)?.hint).toContain('host:port');
    expect(() => serverOfAnswer('postgres', answer)).toThrow(/not shown/);
  },
);
