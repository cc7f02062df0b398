// An archive whose bucket moves months out of reach and expires them.
import { CopyObjectCommand } from '@aws-sdk/client-s3';
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { dayMs, hourMs } from '../../src/base/duration.ts';
import { bucketSchema } from '../../src/model/bucket-settings.ts';
import { setUpBucket } from '../../src/storage/s3/bucket-setup.ts';
import { agingBucket, type AgingBucket } from '../support/aging-bucket.ts';
import { useBucketScene } from '../support/bucket-scene.ts';
import { runHere, type Ran } from '../support/lifeboat.ts';
import { noSignal } from '../support/repository.ts';
import { describeWithS3 } from '../support/s3-server.ts';

const Bucket = 'archives';
const configuration = (endpoint: string): string => `
application: shop
repositories:
  local: { location: ./local, password: secret }
  archive:
    location: s3://${Bucket}/shop
    password: secret
    archive: monthly
    s3:
      endpoint: ${endpoint}
      tagBulkData: true
      bucket: { infrequentAfter: 30d, archiveAfter: 90d, expireAfter: 365d }
components:
  uploads:
    type: files
    paths: [./data]
    policy: { copy: { to: archive, snapshots: newest, schedule: { cron: '0 5 1 * *' } } }
`;

/** Processes of the program, one after another, on a machine that is busy. */
const timeout = 240_000;

await describeWithS3('a monthly archive', () => {
  const scene = useBucketScene('us-east-1', ({ home, aws }) => {
    mkdirSync(join(home.path, 'data'));
    writeFileSync(join(home.path, 'data', 'a.txt'), 'kept');
    writeFileSync(join(home.path, 'lifeboat.yaml'), configuration(aws.client.endpoint));
  });

  const lifeboat = (...args: string[]): Promise<Ran> =>
    runHere(args, { folder: scene.home.path, environment: scene.environment });
  async function done(...args: string[]): Promise<string> {
    const { exitCode, stdout, stderr } = await lifeboat(...args);
    expect([args[0], exitCode, stderr]).toEqual([args[0], 0, '']);
    return stdout;
  }
  const bucket = (): AgingBucket => agingBucket(scene.client, Bucket);
  const objectsIn = (prefix: string) => bucket().objects(prefix);
  const age = (prefix: string, days: number) => bucket().age(prefix, days);
  const restored = (folder: string): string[] =>
    readdirSync(join(scene.home.path, folder), { recursive: true, encoding: 'utf8' }).filter((path) =>
      path.endsWith('a.txt'),
    );

  async function thawAgain(...options: string[]): Promise<Record<string, unknown>> {
    return JSON.parse(await done('storage', 'thaw', '-r', 'archive/2025-12', '--json', ...options)) as Record<
      string,
      unknown
    >;
  }

  test(
    'S1-19 S1-20 months move to GLACIER and come back when asked for, expire as a whole, and take nothing else along',
    { timeout },
    async () => {
      await done('repository', 'init', '-r', 'local');
      const rules = { infrequentAfter: '30d', archiveAfter: '90d', expireAfter: '365d' };
      const at = { kind: 's3', bucket: Bucket, prefix: 'shop', client: scene.aws.client } as const;
      const wished = { wish: bucketSchema.parse(rules), isDryRun: false, signal: noSignal };
      const set = await Array.fromAsync(setUpBucket(at, wished));
      expect(set.find(({ aspect }) => aspect === 'lifecycle')).toMatchObject({ outcome: 'changed' });
      await done('repository', 'init', '-r', 'archive', '--from', 'local');
      await done('backup', 'uploads');
      // As the job of the server does it.
      await done('copy', 'latest', '--component', 'uploads', '--from', 'local', '--to', 'archive');
      const month = new Date().toISOString().slice(0, 7);
      const now = await objectsIn(`shop/${month}/`);
      expect(new Set(now.map(({ key }) => key.split('/')[2]))).toEqual(
        new Set(['config', 'data', 'index', 'keys', 'snapshots']),
      );
      // A month of before: it is whole by itself, so it may lie anywhere.
      const old = 'shop/2025-12/';
      for (const { key } of now) {
        const Key = key.replace(`shop/${month}/`, old);
        await scene.client.send(new CopyObjectCommand({ Bucket, Key, CopySource: `${Bucket}/${key}` }));
      }
      await age(old, 100);
      const classes = Map.groupBy(await objectsIn(old), ({ storageClass }) => storageClass);
      expect(classes.get('GLACIER')?.every(({ key }) => key.startsWith(`${old}data/`))).toBe(true);
      const restore = ['restore', 'uploads', '-r', 'archive/2025-12', '--to', './back'];
      expect(await lifeboat(...restore)).toMatchObject({
        exitCode: 1,
        stderr: expect.stringMatching(/'lifeboat storage thaw' .*<archive>\/<month>/s) as string,
      });
      expect(await lifeboat('storage', 'thaw', '-r', 'archive/2001-02')).toMatchObject({
        exitCode: 10,
        stderr: expect.stringContaining('archive has no month 2001-02') as string,
      });
      const asked = await lifeboat('storage', 'thaw', '-r', 'archive/2025-12', '--json');
      const archived = classes.get('GLACIER')?.length;
      expect([asked.exitCode, JSON.parse(asked.stdout)]).toEqual([
        3,
        expect.objectContaining({ archived, requested: archived }),
      ]);
      const again = await thawAgain();
      expect(again).toMatchObject({ archived, ready: archived, requested: 0, prolonged: 0 });
      const daysLeft = (until: unknown): number => Math.round((Date.parse(String(until)) - systemClock.now()) / dayMs);
      expect(daysLeft(again['readableUntil'])).toBe(7);
      // As if it were for fewer days, which would take some away.
      expect(daysLeft((await thawAgain('--days', '3'))['readableUntil'])).toBe(7);
      expect(await thawAgain('--days', '30', '--dry-run')).toMatchObject({
        prolonged: archived,
        readableUntil: again['readableUntil'],
      });
      const longer = await thawAgain('--days', '30');
      expect([longer['prolonged'], daysLeft(longer['readableUntil'])]).toEqual([archived, 30]);
      const words = (await lifeboat('storage', 'thaw', '-r', 'archive/2025-12')).stdout.replaceAll(/\s+/g, ' ');
      expect(words).toMatch(/\d can be read until \d{4}-\d\d-\d\d/);
      // It finishes the one that could not.
      expect(await lifeboat(...restore)).toMatchObject({ exitCode: 0 });
      expect(restored('back')).toHaveLength(1);

      await age(old, 365);
      expect(await objectsIn(old)).toEqual([]);
      // What new months begin with stays, however old it is.
      const base = (await objectsIn('shop/')).filter(({ key }) => !key.startsWith('shop/20'));
      await age('shop/config', 1000);
      await age('shop/keys/', 1000);
      expect((await objectsIn('shop/')).filter(({ key }) => !key.startsWith('shop/20'))).toEqual(base);
      await done('restore', 'uploads', '-r', 'archive', '--to', './newest');
      expect(restored('newest')).toHaveLength(1);
    },
  );

  test(
    'check counts the hours of GLACIER and what a lock keeps, by what lifeboat.yaml says of the bucket',
    { timeout },
    async () => {
      const promising = configuration(scene.aws.client.endpoint)
        .replace('archiveAfter: 90d', 'archiveAfter: 1d, lock: 62d, keepVersions: 62d')
        .replace('infrequentAfter: 30d, ', '')
        .replace('paths: [./data]', 'paths: [./data]\n    objectives: { rto: 2h, scenarios: { ransomware: 40d } }')
        .replace('policy: { copy', 'policy: { repositories: [local], schedule: { every: 1d }, copy');
      writeFileSync(join(scene.home.path, 'promising.yaml'), promising);
      const { stdout } = await lifeboat('check', '--config', 'promising.yaml', '--json');
      const { subjects, exposures } = JSON.parse(stdout) as Checked;
      const messages = subjects.find(({ subject }) => subject === 'objectives')?.findings.map(({ message }) => message);
      expect(messages).toEqual([
        expect.stringMatching(/^host loss, site loss, ransomware: what archive holds may lie in GLACIER .* up to 5h/),
      ]);
      expect(exposures.find(({ scenario }) => scenario === 'ransomware')).toMatchObject({ repository: 'archive' });
      expect(exposures.map(({ thawMs }) => thawMs)).toEqual([0, 0, 5 * hourMs, 5 * hourMs, 5 * hourMs]);
    },
  );
});

interface Checked {
  readonly subjects: readonly {
    readonly subject: string;
    readonly findings: readonly { readonly message: string }[];
  }[];
  readonly exposures: readonly { readonly scenario: string; readonly repository?: string; readonly thawMs: number }[];
}
