import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { temporaryFolder, type TemporaryFolder } from '../../../test/support/temporary-folder.ts';
import { describeWith } from '../../../test/support/tools.ts';
import type { BackupSession } from '../source.ts';
import { describeSource } from '../source-contract.ts';
import { configSource } from './config-source.ts';
import { composeImages, variableNames } from './file-facts.ts';
import { remoteWithoutCredentials } from './git-revision.ts';

const { signal } = new AbortController();
const planted = 'hunter2-planted-secret';

const env = `# comment ${planted}
DATABASE_URL=postgres://app:${planted}@db/app
export API_KEY="${planted}"
CERTIFICATE="-----BEGIN-----
${planted}==
LOOKS_LIKE_A_NAME=${planted}
-----END-----"
lower=${planted}
`;
const compose = `services:
  web:
    image: shop/web:1.2
    environment: { PASSWORD: ${planted} }
  worker:
    build: .
  cache: { image: "redis:7" }
`;

/** Aliases of aliases. */
function bomb(): string {
  const levels = Array.from(
    { length: 9 },
    (_, level) =>
      `&l${level} [${Array(9)
        .fill(level === 0 ? 'x' : `*l${level - 1}`)
        .join(',')}]`,
  );
  return `[${levels.join(',')}]`;
}

async function configFolder(): Promise<TemporaryFolder> {
  const folder = await temporaryFolder();
  const files = {
    'app/.env': env,
    'app/docker-compose.yml': compose,
    'app/nginx/site.conf': 'server {}\n',
    'app/releases/7/.env.production': 'A=1\n',
  };
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(folder.path, path)), { recursive: true });
    writeFileSync(join(folder.path, path), content, { mode: 0o600 });
  }
  symlinkSync('releases/7', join(folder.path, 'app/current'));
  symlinkSync('releases/7/.env.production', join(folder.path, 'app/.env.link'));
  return folder;
}

async function allPaths(session: BackupSession): Promise<string[]> {
  return (await Array.fromAsync(session.entries(signal))).map(({ path, metadata }) => `${metadata.type} ${path}`);
}

describe('the config source', () => {
  let folder: TemporaryFolder;
  let at: (path: string) => string;
  beforeAll(async () => {
    folder = await configFolder();
    at = (path) => join(folder.path, path);
  });
  afterAll(() => folder[Symbol.asyncDispose]());

  const source = () => configSource({ files: [at('app/.env'), at('app/*.yml'), at('app/**/*.conf')] });

  describeSource('config', source, {
    unreachable: () => configSource({ files: [at('app/missing')] }),
  });

  test('facts name variables, images and hashes, and nothing shows a value', async () => {
    await using session = await source().open(signal);
    await allPaths(session);
    const facts = await session.facts(signal);
    expect(facts['files']).toEqual([
      {
        path: at('app/.env'),
        kind: 'env',
        sizeBytes: env.length,
        variables: ['API_KEY', 'CERTIFICATE', 'DATABASE_URL'],
        otherVariables: 1,
      },
      {
        path: at('app/docker-compose.yml'),
        kind: 'compose',
        sizeBytes: compose.length,
        sha256: expect.stringMatching(/^[0-9a-f]{64}$/),
        images: { web: 'shop/web:1.2', cache: 'redis:7' },
      },
      expect.objectContaining({ path: at('app/nginx/site.conf'), kind: 'plain' }),
    ]);
    const findings = await Array.fromAsync(source().check(signal));
    expect(JSON.stringify([facts, findings, session.problems])).not.toContain(planted);
  });

  test('a link is kept as a link together with the file it points to, also below a linked folder', async () => {
    const linked = configSource({ files: [at('app/.env.link'), at('app/current/.env.production')] });
    await using session = await linked.open(signal);
    const paths = await allPaths(session);
    expect(paths).toContain(`symlink ${at('app/.env.link')}`);
    expect(paths.filter((path) => path.includes('production'))).toEqual([
      `file ${at('app/releases/7/.env.production')}`,
    ]);
  });

  test('a pattern that fits nothing is a problem of an otherwise good backup', async () => {
    await using session = await configSource({ files: [at('app/.env'), at('app/*.toml')] }).open(signal);
    expect(session.problems).toEqual([{ path: at('app/*.toml'), message: 'fits no file' }]);
  });

  test('patterns that fit nothing at all are no backup', async () => {
    await expect(configSource({ files: [at('app/*.toml')] }).open(signal)).rejects.toMatchObject({
      code: 'SOURCE_UNREACHABLE',
    });
  });

  test('an env file that everyone can read is a warning', async () => {
    const open = at('app/open.env');
    writeFileSync(open, 'A=1\n');
    chmodSync(open, 0o644);
    expect(await Array.fromAsync(configSource({ files: [open] }).check(signal))).toContainEqual({
      aspect: 'env file permissions',
      outcome: 'warning',
      message: `everyone on this machine can read ${open}`,
      hint: 'Take the right away with chmod o-r.',
    });
  });

  test('a broken compose file is backed up with a problem that quotes nothing of it', async () => {
    const broken = at('app/compose.broken.yml');
    writeFileSync(broken, `services: [ ${planted}: }`);
    await using session = await configSource({ files: [broken] }).open(signal);
    expect(session.problems).toEqual([{ path: broken, message: 'is no valid compose file' }]);
  });

  test('a folder named as a file is refused', async () => {
    await expect(configSource({ files: [at('app')] }).open(signal)).rejects.toMatchObject({
      code: 'SOURCE_UNSUPPORTED',
    });
  });
});

test('lines of a key without quotes are counted, not named', () => {
  expect(variableNames('MIIEpAIBAAKCAQEA=\nGOOD=1\nabc=\n')).toEqual({ variables: ['GOOD'], otherVariables: 2 });
});

test.each([
  ['a list', '- a'],
  ['text', 'hello'],
  ['nothing', ''],
  ['services that are a list', 'services: [a]'],
  ['an alias without an anchor', 'services: { a: *gone }'],
  ['a file that would grow without bound', `services: {}\nx: ${bomb()}`],
])('%s is no compose file', (_, text) => {
  expect(composeImages(text)).toBeUndefined();
});

test('images inherited by a merge key and an anchor are found', () => {
  const text = 'x-base: &base\n  image: base:1\nservices:\n  a:\n    <<: *base\n  b: *base\n';
  expect(composeImages(text)).toEqual({ a: 'base:1', b: 'base:1' });
});

test.each([
  ['https://user:token@git.example/shop.git?key=1#x', 'https://git.example/shop.git'],
  ['https://token@git.example/shop.git', 'https://git.example/shop.git'],
  ['ssh://git@git.example:22/shop.git', 'ssh://git.example:22/shop.git'],
  ['git@git.example:shop.git', 'git.example:shop.git'],
  ['user:to@ken@git.example:shop.git', 'git.example:shop.git'],
  ['/srv/git/shop.git', '/srv/git/shop.git'],
])('the remote %s is noted as %s', (remote, noted) => {
  expect(remoteWithoutCredentials(remote)).toBe(noted);
});

test('git is told where programs lie and where its settings are, and no secret of ours', async () => {
  await using folder = await configFolder();
  const said = join(folder.path, 'environment');
  writeFileSync(join(folder.path, 'git'), `#!/bin/sh\nenv > ${said}\nexit 1\n`, { mode: 0o755 });
  vi.stubEnv('LIFEBOAT_PASSWORD', planted);
  const programFolders = [folder.path, '/usr/bin', '/bin'];
  const source = configSource({ files: [join(folder.path, 'app/docker-compose.yml')], programFolders });
  await using _ = await source.open(signal);
  vi.unstubAllEnvs();
  const names = readFileSync(said, 'utf8')
    .split('\n')
    .map((line) => line.split('=')[0]);
  expect(names).toEqual(expect.arrayContaining(['PATH', 'HOME']));
  expect(names).not.toContain('LIFEBOAT_PASSWORD');
});

describeWith(['git'], 'the git revision of configuration', () => {
  test('is noted with branch, remote without token, and what was not committed', async () => {
    await using folder = await configFolder();
    const git = (...parts: string[]) => execFileSync('git', ['-C', folder.path, ...parts], { encoding: 'utf8' }).trim();
    git('init', '-q', '-b', 'release');
    git('remote', 'add', 'origin', `https://bot:${planted}@git.example/shop.git`);
    git('add', 'app/docker-compose.yml');
    git('-c', 'user.name=test', '-c', 'user.email=test@example.invalid', 'commit', '-q', '-m', 'first');
    const source = configSource({ files: [join(folder.path, 'app/docker-compose.yml')] });
    await using session = await source.open(signal);
    const facts = await session.facts(signal);
    expect(facts['git']).toEqual([
      {
        folder: folder.path,
        revision: git('rev-parse', 'HEAD'),
        branch: 'release',
        remote: 'https://git.example/shop.git',
        changedFiles: expect.any(Number),
      },
    ]);
    expect(JSON.stringify(facts)).not.toContain(planted);
    const findings = await Array.fromAsync(source.check(signal));
    expect(findings).toContainEqual(expect.objectContaining({ aspect: 'git revision', outcome: 'warning' }));
  });
});
