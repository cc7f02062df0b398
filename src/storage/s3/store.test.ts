// How the store takes servers that refuse, stall and break off; what it does with one that works: test/integration.
import { inspect } from 'node:util';
import { describe, expect, test } from 'vitest';
import { scriptedServer } from '../../../test/support/http-script.ts';
import { AppError } from '../../base/errors.ts';
import type { S3ClientOptions } from '../../base/s3-options.ts';
import { s3Store } from './store.ts';

const credentials = {
  accessKeyId: 'AKIDPLANTED',
  secretAccessKey: 'planted-secret-key',
  sessionToken: 'planted-session-token',
};

function storeAt(endpoint: string, client: S3ClientOptions = {}) {
  return s3Store({ kind: 's3', bucket: 'backups', prefix: 'shop', client: { endpoint, credentials, ...client } });
}

function xmlError(code: string): string {
  return `<?xml version="1.0" encoding="UTF-8"?><Error><Code>${code}</Code><Message>said the server</Message></Error>`;
}

describe('an answer of the server becomes an error with a code and a hint:', () => {
  test.each([
    [404, 'NoSuchKey', 'OBJECT_MISSING'],
    [404, 'NoSuchBucket', 'REPOSITORY_MISSING'],
    [403, 'AccessDenied', 'STORE_DENIED'],
    [403, 'InvalidAccessKeyId', 'STORE_DENIED'],
    [403, 'SignatureDoesNotMatch', 'STORE_DENIED'],
    [403, 'InvalidObjectState', 'STORE_DENIED'],
    [403, 'SomethingNew', 'STORE_DENIED'],
    [400, 'ExpiredToken', 'STORE_DENIED'],
    [400, 'AuthorizationHeaderMalformed', 'STORE_DENIED'],
    [400, 'SomethingNew', 'STORE_DENIED'],
    [501, 'NotImplemented', 'STORE_DENIED'],
    [507, 'SomethingNew', 'STORE_FULL'],
    [400, 'QuotaExceeded', 'STORE_FULL'],
    [403, 'QuotaExceeded', 'STORE_FULL'],
    [503, 'SlowDown', 'STORE_UNREACHABLE'],
    [429, 'SomethingNew', 'STORE_UNREACHABLE'],
    [500, 'InternalError', 'STORE_FAILED'],
    [502, 'BadGateway', 'STORE_FAILED'],
  ])('%i %s → %s', async (status, name, code) => {
    await using server = await scriptedServer((request, response) => {
      request.resume();
      response.writeHead(status, { 'content-type': 'application/xml' }).end(xmlError(name));
    });
    await using store = storeAt(server.endpoint);
    const error = await rejection(store.get('config'));
    expect(error).toMatchObject({ code, hint: expect.stringMatching(/^[A-Z].*\.$/) });
    expect(error.message).toContain('config');
    expect(error.message).not.toMatch(/^[A-Z]/);
  });

  test('a removal of what is gone succeeds also where the server says so', async () => {
    await using server = await scriptedServer((_, response) => {
      response.writeHead(404, { 'content-type': 'application/xml' }).end(xmlError('NoSuchKey'));
    });
    await using store = storeAt(server.endpoint);
    await store.remove('locks/gone');
    expect(server.requests).toHaveLength(1);
  });

  test('an answer without a body is judged by its status', async () => {
    await using server = await scriptedServer((_, response) => response.writeHead(403).end());
    await using store = storeAt(server.endpoint);
    const hint = expect.stringMatching(/policy of the bucket refuses requests in clear: then use an https/) as string;
    expect(await rejection(store.stat('config'))).toMatchObject({ code: 'STORE_DENIED', hint });
  });

  test('a page that some proxy sends is no listing, no size and no receipt', async () => {
    await using server = await scriptedServer((request, response) => {
      request.resume();
      response.writeHead(200, { 'content-type': 'text/html', 'transfer-encoding': 'chunked' });
      response.end('<html><title>Please log in</title></html>');
    });
    await using store = storeAt(server.endpoint);
    expect(await rejection(Array.fromAsync(store.list('')))).toMatchObject({ code: 'STORE_FAILED' });
    expect(await rejection(store.stat('config'))).toMatchObject({ code: 'STORE_FAILED' });
    expect(await rejection(store.put('config', [Buffer.from('x')]))).toMatchObject({ code: 'STORE_FAILED' });
  });

  test('a page of a listing that promises more without saying where is not taken for the end', async () => {
    await using server = await scriptedServer((_, response) => {
      response.end('<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>');
    });
    await using store = storeAt(server.endpoint);
    expect(await rejection(Array.fromAsync(store.list('')))).toMatchObject({ code: 'STORE_FAILED' });
  });
});

describe('secrets', () => {
  test.each([403, 500, 0])('appear nowhere in an error (status %i)', async (status) => {
    await using server = await scriptedServer((request, response) => {
      if (status === 0) request.socket.destroy();
      else response.writeHead(status).end(xmlError('Whatever'));
    });
    await using store = storeAt(server.endpoint);
    const calls = [
      () => store.get('config'),
      () => store.put('config', [Buffer.from('x')]),
      () => Array.fromAsync(store.list('')),
    ];
    for (const call of calls) {
      const seen = inspect(await rejection(call()), { depth: null, showHidden: true });
      expect(seen).not.toMatch(/planted/i);
    }
  });
});

describe('a server that does not answer', () => {
  test('because there is none is unreachable', async () => {
    const server = await scriptedServer(() => {});
    await server[Symbol.asyncDispose]();
    await using store = storeAt(server.endpoint);
    const error = await rejection(store.get('config'));
    expect(error).toMatchObject({ code: 'STORE_UNREACHABLE', message: expect.stringContaining('ECONNREFUSED') });
  });

  test('in time is unreachable', async () => {
    await using server = await scriptedServer(() => {});
    await using store = storeAt(server.endpoint, { idleTimeoutMs: 200 });
    expect(await rejection(store.stat('config'))).toMatchObject({ code: 'STORE_UNREACHABLE' });
  });

  test('any more in the middle of an object is unreachable', async () => {
    await using server = await scriptedServer((_, response) => {
      response.writeHead(200, { 'content-length': '1000' }).write('the beginning');
    });
    await using store = storeAt(server.endpoint, { idleTimeoutMs: 200 });
    expect(await rejection(store.get('config'))).toMatchObject({ code: 'STORE_UNREACHABLE' });
  });

  test('is left as soon as the signal aborts, before and in the middle of an answer', async () => {
    const arrived = Promise.withResolvers<void>();
    await using server = await scriptedServer((request, response) => {
      if (request.method === 'GET') response.writeHead(200, { 'content-length': '1000' }).write('the beginning');
      if (server.requests.length === 2) arrived.resolve();
    });
    await using store = storeAt(server.endpoint);
    const stop = new AbortController();
    const calls = [store.get('config', { signal: stop.signal }), store.stat('config', { signal: stop.signal })];
    await arrived.promise;
    stop.abort();
    const outcomes = await Promise.all(calls.map(rejection));
    expect(outcomes.map(({ code }) => code)).toEqual(['INTERRUPTED', 'INTERRUPTED']);
  });
});

test('an object that is cut short is not taken for whole', async () => {
  await using server = await scriptedServer((_, response) => {
    response.writeHead(200, { 'content-length': '1000' }).write('the beginning', () => response.destroy());
  });
  await using store = storeAt(server.endpoint);
  expect(await rejection(store.get('config'))).toMatchObject({ code: 'STORE_UNREACHABLE' });
});

test('a server that knows no ranges still gives the range', async () => {
  await using server = await scriptedServer((_, response) => response.end('0123456789'));
  await using store = storeAt(server.endpoint);
  expect((await store.get('config', { offset: 2, length: 3 })).toString()).toBe('234');
  expect((await store.get('config', { offset: 8 })).toString()).toBe('89');
});

test('a short fault is overcome, and a part that fails takes the whole upload with it', async () => {
  const answers: number[] = [];
  await using server = await scriptedServer((request, response) => {
    request.resume();
    request.on('end', () => {
      const { method = '', url = '' } = request;
      if (method === 'POST' && url.includes('uploads')) {
        response.end('<InitiateMultipartUploadResult><UploadId>u1</UploadId></InitiateMultipartUploadResult>');
        return;
      }
      const status = method === 'PUT' && url.includes('partNumber=2') ? 403 : answers.length === 0 ? 500 : 200;
      answers.push(status);
      response.writeHead(status, { etag: '"e"' }).end(status === 403 ? xmlError('AccessDenied') : '');
    });
  });
  await using store = s3Store(
    { kind: 's3', bucket: 'backups', prefix: '', client: { endpoint: server.endpoint, credentials } },
    { multipartAboveBytes: 5 * 1024 * 1024, partSizeBytes: 5 * 1024 * 1024 },
  );
  await store.put('config', [Buffer.from('small')]);
  expect(server.requests).toEqual(['PUT /backups/config?x-id=PutObject', 'PUT /backups/config?x-id=PutObject']);

  const error = await rejection(store.put('data/ab/big', [Buffer.alloc(12 * 1024 * 1024)]));
  expect(error.code).toBe('STORE_DENIED');
  expect(
    server.requests.some((line) => line.startsWith('DELETE /backups/data/ab/big?') && line.includes('uploadId=u1')),
  ).toBe(true);
  expect(server.requests.filter((line) => line.startsWith('POST')).length).toBe(1);
});

async function rejection(call: Promise<unknown>): Promise<AppError> {
  const error: unknown = await call.then(
    () => new Error('did not reject'),
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(AppError);
  return error as AppError;
}
