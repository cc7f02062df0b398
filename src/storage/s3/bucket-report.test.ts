// What the report makes of answers that a real server gives only with other credentials; a working one: test/acceptance.
import { expect, test } from 'vitest';
import { scriptedServer } from '../../../test/support/http-script.ts';
import { noSignal } from '../../../test/support/repository.ts';
import { systemClock } from '../../base/clock.ts';
import type { BucketAspect } from './bucket-aspect.ts';
import { reportBucket } from './bucket-report.ts';

const credentials = { accessKeyId: 'AKIAPLANTED1234', secretAccessKey: 'planted-secret-key' };

const promise = { lockDays: undefined, outlivesRansomware: false };
const looking = { clock: systemClock, signal: noSignal, promise };

async function report(endpoint: string, keyOrigin?: string): Promise<Map<string, BucketAspect>> {
  const at = { kind: 's3', bucket: 'backups', prefix: 'shop', client: { endpoint, credentials } } as const;
  const aspects = await Array.fromAsync(reportBucket(at, { ...looking, keyOrigin }));
  return new Map(aspects.map((aspect) => [aspect.aspect, aspect]));
}

async function answered(status: number, code: string, keyOrigin?: string): Promise<Map<string, BucketAspect>> {
  const text = `<?xml version="1.0" encoding="UTF-8"?><Error><Code>${code}</Code><Message>said the server</Message></Error>`;
  await using server = await scriptedServer((request, response) => {
    request.resume();
    response.writeHead(status, { 'content-type': 'application/xml' }).end(text);
  });
  return await report(server.endpoint, keyOrigin);
}

test.each([
  ['InvalidAccessKeyId', 403, 'failed'],
  ['SignatureDoesNotMatch', 403, 'failed'],
  ['ExpiredToken', 400, 'failed'],
  ['AccessDenied', 403, 'passed'],
  ['NoSuchBucket', 404, 'passed'],
  ['InternalError', 500, 'inconclusive'],
])('%s (%i) to a signed request makes the credentials %s', async (code, status, outcome) => {
  const found = await answered(status, code);
  expect(found.get('credentials')).toMatchObject({ outcome });
  expect(found.get('list bucket')).toMatchObject({ outcome: 'failed' });
});

test('a key is shown by its end, with the place it comes from, and never its secret', async () => {
  const found = await answered(403, 'InvalidAccessKeyId', 'lifeboat.yaml');
  expect(found.get('credentials')?.message).toMatch(/^access key …1234 from lifeboat\.yaml, region us-east-1: /);
  const text = JSON.stringify([...found]);
  expect(text).not.toContain('PLANTED');
  expect(text).not.toContain(credentials.secretAccessKey);
});

test('nothing is asked of a bucket that is not there but whether it is', async () => {
  expect([...(await answered(404, 'NoSuchBucket')).keys()]).toEqual(['credentials', 'clock', 'list bucket']);
  expect([...(await answered(403, 'AccessDenied')).keys()]).toContain('bucket versioning');
});

test('a page in place of an answer of S3 is named, without what the SDK tells its developers', async () => {
  await using server = await scriptedServer((request, response) => {
    request.resume();
    response.writeHead(200, { 'content-type': 'text/html' }).end('<html><p>Sign in</html>');
  });
  const found = (await report(server.endpoint)).get('list bucket');
  expect(found).toMatchObject({ outcome: 'failed', hint: expect.stringContaining('no proxy answers') as string });
  expect(found?.message).not.toMatch(/Deserialization|\$response|SDK|sdk/);
});

test('without an answer nothing is known of the credentials', async () => {
  const found = await report('http://127.0.0.1:1');
  expect(found.get('credentials')).toMatchObject({
    outcome: 'inconclusive',
    hint: expect.stringMatching(/\.$/) as string,
  });
});
