// The real program with several repositories: which one a restore and a proof take, what happens when one is away, whose
// password is used, and what snapshots alone tell where there is no lifeboat.yaml.
import { chmod, mkdir, readFile, rename, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { jsonLines, runHere, runLifeboat, type Ran } from '../support/lifeboat.ts';
import { createRepository, testPassword } from '../support/repository.ts';
import { noise } from '../support/sample-repository.ts';
import { temporaryFolder, type TemporaryFolder } from '../support/temporary-folder.ts';

let folder: TemporaryFolder;
let upload: string;
const summaryOf = (ran: Ran) => jsonLines(ran).find(({ message_type }) => message_type === 'summary');

function run(args: readonly string[], environment: Record<string, string> = { LIFEBOAT_PASSWORD: '' }): Promise<Ran> {
  return runHere(args, { folder: folder.path, environment });
}

async function succeed(...args: string[]): Promise<Ran> {
  const ran = await run(args);
  if (ran.exitCode !== 0) throw new Error(`lifeboat ${args.join(' ')}: ${ran.exitCode} ${ran.stdout} ${ran.stderr}`);
  return ran;
}

/** Does something while repositories are not where the configuration says. */
async function without(names: readonly string[], work: () => Promise<void>): Promise<void> {
  const paths = names.map((name) => join(folder.path, name));
  for (const path of paths) await rename(path, `${path}-away`);
  try {
    await work();
  } finally {
    for (const path of paths) await rename(`${path}-away`, path);
  }
}

async function restored(name: string): Promise<string> {
  return readFile(join(folder.path, name, 'a.txt'), 'utf8');
}

/** near: an older upload; far: a newer one, and a copy of the older. */
beforeAll(async () => {
  folder = await temporaryFolder();
  const { path } = folder;
  upload = join(path, 'uploads/a.txt');
  await mkdir(join(path, 'uploads'));
  await writeFile(join(path, 'password'), testPassword, { mode: 0o600 });
  for (const name of ['near', 'far']) await createRepository(join(path, name));
  const repository = (name: string) => `  ${name}: { location: ./${name}/repository, passwordFile: ./password }`;
  await writeFile(
    join(path, 'lifeboat.yaml'),
    [
      'application: shop',
      'repositories:',
      repository('near'),
      repository('far'),
      'components:',
      '  uploads: { type: files, paths: [./uploads], policy: { repositories: [near] } }',
      '',
    ].join('\n'),
  );
  await writeFile(upload, 'first');
  await succeed('backup', '-r', 'near');
  await succeed('copy', '--from', 'near', '--to', 'far');
});
afterAll(() => folder[Symbol.asyncDispose]());

test('a repository that only receives copies is no fault of the configuration, and an empty one is to be filled by copy', async () => {
  const empty = join(folder.path, 'empty.yaml');
  const text = await readFile(join(folder.path, 'lifeboat.yaml'), 'utf8');
  await createRepository(join(folder.path, 'spare'));
  await writeFile(empty, text.replace('./far/', './spare/'));
  const { stdout } = await run(['check', '--json', '--config', empty]);
  const { subjects } = JSON.parse(stdout) as {
    subjects: { subject: string; findings: { aspect: string; outcome: string; hint?: string }[] }[];
  };
  const findings = (name: string) => subjects.find(({ subject }) => subject === name)?.findings ?? [];
  expect(findings('configuration').filter(({ outcome }) => outcome !== 'passed')).toEqual([]);
  expect(findings('repository far').find(({ aspect }) => aspect === 'snapshots')?.hint).toContain('lifeboat copy');
});

describe('of several repositories', () => {
  test('restore takes the first that holds the newest, or the one that is named', async () => {
    const same = await succeed(
      'restore',
      'uploads',
      '--to',
      './same',
      '--base',
      join(folder.path, 'uploads'),
      '--json',
    );
    expect(summaryOf(same)).toMatchObject({ repository: 'near', unread: [] });
    const named = await succeed('restore', 'uploads', '--to', './named', '-r', 'far', '--json');
    expect(summaryOf(named)).toMatchObject({ repository: 'far' });
  });

  test('restore and restore-all take the newest wherever it is', async () => {
    await writeFile(upload, 'second');
    await succeed('backup', '-r', 'far');
    const base = join(folder.path, 'uploads');
    const ran = await succeed('restore', 'uploads', '--to', './newest', '--base', base, '--json');
    expect(summaryOf(ran)).toMatchObject({ repository: 'far' });
    expect(await restored('newest')).toBe('second');
    const all = await succeed('restore-all', '--dry-run', '--json');
    expect(summaryOf(all)).toMatchObject({ restores: [{ repository: 'far' }] });
  });

  test('an id is found in whichever repository has it', async () => {
    const { stdout } = await succeed('snapshots', '--json');
    const { repositories } = JSON.parse(stdout) as { repositories: { snapshots: { id: string }[] }[] };
    const ofFar = repositories[1]?.snapshots.at(-1)?.id ?? '';
    expect(summaryOf(await succeed('restore', ofFar, '--to', './by-id', '--json'))).toMatchObject({
      repository: 'far',
      snapshot: { id: ofFar },
    });
  });

  test('ls, dump and find look where restore looks', async () => {
    const listed = JSON.parse((await succeed('ls', 'uploads', '--json')).stdout) as { repository: string };
    expect(listed).toMatchObject({ repository: 'far', unread: [] });
    expect((await succeed('dump', 'uploads', upload)).stdout).toBe('second');
    expect((await succeed('dump', 'latest', upload, '-r', 'near')).stdout).toBe('first');
    const found = JSON.parse((await succeed('find', 'a.txt', '--json')).stdout) as { snapshots: object[] };
    expect(found.snapshots.map((each) => 'repository' in each && each.repository)).toEqual(['near', 'far', 'far']);
    expect((await succeed('find', 'a.txt')).stdout).toMatch(/of uploads from \S+ \S+ in near: 1 match\n/);
    await without(['far'], async () => {
      for (const [args, output] of [
        [['ls', 'uploads'], upload],
        [['dump', 'latest', upload], 'first'],
        [['find', 'a.txt'], upload],
        [['diff', 'before:2099-01-01', 'latest'], '0 added, 0 removed'],
      ] as const) {
        const ran = await run(args);
        expect(ran).toMatchObject({ exitCode: 3, stdout: expect.stringContaining(output) });
        expect(ran.stderr).toMatch(/^warning: repository far was left out: /);
      }
      expect(await run(['find', 'nowhere'])).toMatchObject({ exitCode: 4 });
    });
  });

  test('one that is away is left out with a warning, by restore and by prove, and the exit code is 3', async () => {
    await without(['far'], async () => {
      const base = join(folder.path, 'uploads');
      const ran = await run(['restore', 'uploads', '--to', './older', '--base', base]);
      expect(ran).toMatchObject({ exitCode: 3 });
      expect(ran.stdout).toMatch(/warning: repository far was left out: .*no repository/);
      expect(await restored('older')).toBe('first');
    });
    await without(['near'], async () => {
      const proven = await run(['prove', '--json']);
      expect(proven).toMatchObject({ exitCode: 3 });
      expect(summaryOf(proven)).toMatchObject({
        proofs: [{ outcome: 'passed' }],
        unread: [{ repository: 'near' }],
      });
    });
  });

  test('the newest proven one is found where it was proven', async () => {
    const ran = await succeed('restore', 'uploads', '--from', 'latest-proven', '--to', './proven', '--json');
    expect(summaryOf(ran)).toMatchObject({ repository: 'far' });
  });

  test('when all are away, each is named with its reason', async () => {
    await without(['near', 'far'], async () => {
      for (const args of [['restore', 'uploads', '--to', './none'], ['prove']]) {
        const ran = await run(args);
        expect(ran).toMatchObject({ exitCode: 10 });
        expect(ran.stderr).toMatch(/none of the repositories can be read\n {2}near: .*\n {2}far: .*\nhint: /);
      }
    });
  });

  test('when none has it, the places and the components there are named', async () => {
    const ran = await run(['restore', 'uploadz', '--to', './none']);
    expect(ran).toMatchObject({ exitCode: 4 });
    expect(ran.stderr).toContain("no component and no snapshot 'uploadz' in near, far");
    expect(ran.stderr).toContain('Name a component (uploads)');
  });

  test('a component that was never backed up is to be backed up', async () => {
    const path = join(folder.path, 'more.yaml');
    const text = await readFile(join(folder.path, 'lifeboat.yaml'), 'utf8');
    await writeFile(path, `${text}  notes: { type: files, paths: [./notes] }\n`);
    for (const args of [
      ['restore', 'notes', '--to', './none'],
      ['prove', 'notes'],
    ]) {
      const ran = await run([...args, '--config', path]);
      expect(ran).toMatchObject({ exitCode: 4 });
      expect(ran.stderr).toContain("there is no snapshot of notes for 'latest' in near, far");
      expect(ran.stderr).toContain("Take one with 'lifeboat backup'");
    }
  });

  test('diff finds each end wherever it lies, and compares what two repositories cut differently', async () => {
    const idOf = async (name: string): Promise<string> => {
      const { stdout } = await succeed('snapshots', '--json', '-r', name);
      const { repositories } = JSON.parse(stdout) as { repositories: { snapshots: { id: string }[] }[] };
      return repositories[0]?.snapshots.at(-1)?.id ?? '';
    };
    const big = join(folder.path, 'uploads/big');
    await writeFile(big, noise(7, 5_000_000));
    await succeed('backup', '-r', 'near');
    await utimes(big, 1, 1);
    await writeFile(join(folder.path, 'uploads/b.txt'), 'more');
    await succeed('backup', '-r', 'far');
    const args = ['diff', await idOf('near'), await idOf('far')];
    const found: unknown = JSON.parse((await succeed(...args, '--json')).stdout);
    expect(found).toMatchObject({
      before: { repository: 'near' },
      after: { repository: 'far' },
      differences: [{ kind: 'added', path: join(folder.path, 'uploads/b.txt') }],
      unread: [],
    });
    expect((await succeed('diff', 'before:2099-01-01', 'latest')).stdout).toContain('0 added, 0 removed');
  });
});

describe('without a lifeboat.yaml', () => {
  const environment = { LIFEBOAT_PASSWORD: testPassword };

  beforeAll(async () => {
    await mkdir(join(folder.path, 'bare'));
  });

  function runBare(...args: string[]): Promise<Ran> {
    return runHere([...args, '-r', join(folder.path, 'near/repository')], {
      folder: join(folder.path, 'bare'),
      environment,
    });
  }

  test('restore knows components by the snapshots', async () => {
    const ran = await runBare('restore', 'uploads', '--to', './out', '--json');
    expect(ran).toMatchObject({ exitCode: 0 });
    expect(summaryOf(ran)).toMatchObject({ snapshot: { component: 'uploads' } });
  });

  test('--component says whose latest is meant, and does not go with --from', async () => {
    const ran = await runBare('restore', 'latest', '--component', 'uploads', '--to', './out2', '--json');
    expect(summaryOf(ran)).toMatchObject({ snapshot: { component: 'uploads' } });
    expect(await runBare('restore', 'latest', '--component', 'other', '--to', './out3')).toMatchObject({ exitCode: 4 });
    const both = await runBare('restore', 'latest', '--component', 'uploads', '--from', 'latest', '--to', './out4');
    expect(both).toMatchObject({ exitCode: 2 });
  });

  test('a name that nothing has is answered with the names there are', async () => {
    const ran = await runBare('restore', 'database', '--to', './out5');
    expect(ran).toMatchObject({ exitCode: 4 });
    expect(ran.stderr).toContain('Name a component (uploads)');
  });
});

describe('the password', () => {
  const wrong = { LIFEBOAT_PASSWORD: 'wrong' };

  test('that lifeboat.yaml gives a repository is not replaced by a variable', async () => {
    expect(await run(['snapshots'], wrong)).toMatchObject({ exitCode: 0 });
    expect(await run(['snapshots', '-r', 'far'], wrong)).toMatchObject({ exitCode: 0 });
  });

  test('of a flag is taken where one repository is meant, and else only for those without one', async () => {
    await writeFile(join(folder.path, 'wrong'), 'wrong', { mode: 0o600 });
    const flag = ['--password-file', './wrong'];
    expect(await run(['snapshots', ...flag, '-r', 'near'])).toMatchObject({ exitCode: 12 });
    expect(await run(['snapshots', ...flag])).toMatchObject({ exitCode: 0 });
  });

  test.each(['check', 'doctor'])('file of a flag that others may read is a warning of %s', async (command) => {
    const open = join(folder.path, 'open');
    await writeFile(open, testPassword);
    await chmod(open, 0o644);
    const ran = await run([command, '--json', '-r', 'near', '--password-file', './open']);
    const text = JSON.stringify(JSON.parse(ran.stdout));
    expect(text).toContain(`${open} can be read by others on this machine`);
    await chmod(open, 0o600);
    const mended = await run([command, '--json', '-r', 'near', '--password-file', './open']);
    expect(mended.stdout).toContain(`${open} is for its owner alone`);
  });
});

describe('completion', () => {
  const offered = async (...words: string[]): Promise<string[]> => {
    const own = { folder: folder.path, environment: { LIFEBOAT_PASSWORD: '' } };
    const ran = await runLifeboat(['complete', '--', ...words], own);
    expect(ran).toMatchObject({ exitCode: 0, stderr: '' });
    return ran.stdout.split('\n').flatMap((line) => /^([^:\t][^\t]*)\t/.exec(line)?.[1] ?? []);
  };

  test.each([
    [
      ['restore', ''],
      ['uploads', 'latest', 'latest-proven'],
    ],
    [['restore', 'u'], ['uploads']],
    [['backup', ''], ['uploads']],
    [['prove', ''], ['uploads']],
    [['snapshots', '--component', ''], ['uploads']],
    [
      ['snapshots', '-r', ''],
      ['near', 'far'],
    ],
    [['status', '--repository', 'f'], ['far']],
    [
      ['copy', '--to', ''],
      ['near', 'far'],
    ],
    [['ls', 'latest-'], ['latest-proven']],
    [['--config', './none.yaml', 'snapshots', '-r', ''], []],
  ])('%j offers %j', async (words, expected) => {
    expect(await offered(...words)).toEqual(expected);
  });

  test('offers the names of a file that is named, and nothing of one that does not read', async () => {
    const path = join(folder.path, 'other.yaml');
    await writeFile(path, 'repositories: { third: { password: "${NOT_SET}" } }\ncomponents: { }\n');
    expect(await offered('snapshots', '--config', path, '-r', '')).toEqual(['third']);
    await writeFile(path, 'repositories: [');
    expect(await offered('snapshots', '--config', path, '-r', '')).toEqual([]);
  });
});

test('of two applications in one repository whose components have one name, each gets its own back', async () => {
  const yaml = (application: string): string => join(folder.path, `${application}.yaml`);
  const repositories = 'repositories:\n  near: { location: ./near/repository, passwordFile: ./password }\n';
  const own = (application: string, path: string): string =>
    `application: ${application}\n${repositories}components:\n  uploads: { type: files, paths: [${path}] }\n`;
  await mkdir(join(folder.path, 'articles'));
  await writeFile(join(folder.path, 'articles/b.txt'), 'of the blog');
  await writeFile(yaml('blog'), own('blog', './articles'));
  await writeFile(yaml('shop'), own('shop', './uploads'));
  await writeFile(yaml('forum'), own('forum', './uploads'));
  await succeed('backup', '--config', yaml('shop'));
  await succeed('backup', '--config', yaml('blog'));
  const base = ['--base', join(folder.path, 'uploads')];
  await succeed('restore', 'uploads', '--config', yaml('shop'), '--to', './of-the-shop', ...base);
  expect(await restored('of-the-shop')).toBe(await readFile(upload, 'utf8'));
  expect((await run(['prove', 'uploads', '--config', yaml('shop')])).exitCode).toBe(0);

  const none = await run(['restore', 'uploads', '--config', yaml('forum'), '--to', './of-the-forum']);
  expect(none.exitCode).toBe(4);
  expect(none.stderr).toMatch(/the application forum has no snapshot of uploads in near; blog and shop have/);
  expect(none.stderr).toMatch(/by its id with --from/);
  const { stdout } = await succeed('snapshots', '--json', '--host', 'blog', '--config', yaml('forum'));
  const [id = ''] = /[0-9a-f]{64}/.exec(stdout) ?? [];
  const byId = ['restore', 'uploads', '--from', id, '--config', yaml('forum'), '--to', './named-by-id'];
  await succeed(...byId, '--base', join(folder.path, 'articles'));
  expect(await readFile(join(folder.path, 'named-by-id/b.txt'), 'utf8')).toBe('of the blog');
});
