// What a test of the program with buckets needs around it: a store that answers as S3 does, its credentials in variables, and a folder.
import type { S3Client } from '@aws-sdk/client-s3';
import { afterAll, beforeAll } from 'vitest';
import { startS3Server, type S3Server } from './s3-server.ts';
import { temporaryFolder, type TemporaryFolder } from './temporary-folder.ts';

export interface BucketScene {
  /** Working folder of the program. */
  readonly home: TemporaryFolder;
  readonly aws: S3Server;
  /** May do everything. */
  readonly client: S3Client;
  readonly environment: Readonly<Record<string, string>>;
}

/** One for all tests of a file, once they run; `prepare` is done before them. */
export function useBucketScene(region: string, prepare: (scene: BucketScene) => void | Promise<void>): BucketScene {
  const stack = new AsyncDisposableStack();
  const scene = {} as { -readonly [Key in keyof BucketScene]: BucketScene[Key] };
  beforeAll(async () => {
    scene.home = stack.use(await temporaryFolder());
    scene.aws = stack.use(await startS3Server());
    scene.client = scene.aws.inspector(region);
    stack.defer(() => scene.client.destroy());
    const { accessKeyId = '', secretAccessKey = '' } = scene.aws.client.credentials ?? {};
    scene.environment = { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey };
    await prepare(scene);
  });
  afterAll(() => stack.disposeAsync());
  return scene;
}
