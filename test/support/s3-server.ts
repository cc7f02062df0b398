// A real S3 server for tests: moto's, in a Python environment of the project's own, on a port that the kernel picks.
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { describe } from 'vitest';
import type { S3ClientOptions } from '../../src/base/s3-options.ts';
import { messageOf } from '../../src/base/errors.ts';
import { pythonEnvironment } from './python-environment.ts';

export interface S3Server extends AsyncDisposable {
  /** Reaches the server with credentials that it accepts. */
  readonly client: S3ClientOptions & { readonly endpoint: string };
  /** Makes an empty bucket and tells its name. */
  makeBucket(): Promise<string>;
  /** The SDK's plain client, to look at what the code under test did; the caller destroys it. */
  inspector(region?: string): S3Client;
}

export interface S3ServerOptions {
  /** Whether keys must exist; if not, any will do. Then every call is refused, since none exists. */
  readonly refusesCredentials?: boolean;
}

const startMaxMs = 60_000;
const packages = ['moto[s3,server]==5.2.5'];

/** `describe` for tests that need S3: skips them loudly where there can be no server; under CI=true it fails instead. */
export async function describeWithS3(title: string, define: () => void): Promise<void> {
  try {
    await pythonEnvironment('moto-5.2.5', packages);
    describe(title, define);
  } catch (error) {
    if (process.env['CI'] === 'true') throw error;
    const reason = messageOf(error).split('\n')[0];
    process.stderr.write(`not run: ${title}: ${reason}\n`);
    describe.skip(`${title} (not run: no S3 server on this machine)`, define);
  }
}

export async function startS3Server(options: S3ServerOptions = {}): Promise<S3Server> {
  const python = await pythonEnvironment('moto-5.2.5', packages);
  const environment = { ...process.env, NO_COLOR: '1', PYTHONUNBUFFERED: '1' };
  const child = spawn(python, ['-m', 'moto.server', '-H', '127.0.0.1', '-p', '0'], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: options.refusesCredentials === true ? { ...environment, INITIAL_NO_AUTH_ACTION_COUNT: '0' } : environment,
  });
  const exited = once(child, 'exit');
  try {
    const endpoint = await endpointOf(child);
    return serverAt(endpoint, async () => {
      child.kill();
      await exited;
    });
  } catch (error) {
    child.kill();
    await exited;
    throw error;
  }
}

/** The address that the server prints; what else it prints is read and dropped, so that its pipe never fills. */
async function endpointOf(child: ChildProcess): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const timer = setTimeout(() => reject(new Error('moto did not start in time')), startMaxMs);
  const printed: string[] = [];
  child.once('error', reject);
  child.once('exit', (code) => reject(new Error(`moto ended with ${code}: ${printed.join('\n')}`)));
  if (child.stderr === null) throw new Error('moto has no stderr');
  createInterface({ input: child.stderr }).on('line', (line) => {
    if (printed.length < 50) printed.push(line);
    const address = /Running on (http:\/\/127\.0\.0\.1:\d+)/.exec(line)?.[1];
    if (address !== undefined) resolve(address);
  });
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
  }
}

function serverAt(endpoint: string, stop: () => Promise<void>): S3Server {
  const credentials = { accessKeyId: 'test', secretAccessKey: 'test-secret' };
  const client = { endpoint, region: 'us-east-1', usesPathStyle: true, credentials };
  let buckets = 0;
  const inspector = (region = 'us-east-1'): S3Client =>
    new S3Client({ endpoint, region, forcePathStyle: true, credentials });
  return {
    client,
    inspector,
    async makeBucket() {
      buckets += 1;
      const Bucket = `bucket-${buckets}`;
      const maker = inspector();
      await maker.send(new CreateBucketCommand({ Bucket }));
      maker.destroy();
      return Bucket;
    },
    [Symbol.asyncDispose]: stop,
  };
}
