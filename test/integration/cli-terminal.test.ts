// The program on a real terminal (a pseudo-terminal of 80 columns, made by Python), and how it is stopped.
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { watch } from 'node:fs';
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { stripVTControlCharacters } from 'node:util';
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { environmentIn, jsonLines, launcher, runLifeboat } from '../support/lifeboat.ts';
import { createRepository, testPassword } from '../support/repository.ts';
import { temporaryFolder, type TemporaryFolder } from '../support/temporary-folder.ts';
import { describeWith, findTool } from '../support/tools.ts';

const stopping = 'stopping; press Ctrl-C again to end at once';
let folder: TemporaryFolder;
const repository = ['--repository', './repository'];

beforeAll(async () => {
  folder = await temporaryFolder();
  await createRepository(folder.path);
  await mkdir(join(folder.path, 'data'));
  for (let number = 0; number < 24; number += 1) {
    await writeFile(join(folder.path, `data/file-${number}`), randomBytes(8 * 2 ** 20));
  }
});
afterAll(() => folder[Symbol.asyncDispose]());

/** Gives a program a terminal, feeds it what is typed when the screen shows a text, and prints what the screen showed. */
const terminal = `
import fcntl, os, pty, select, struct, sys, termios
pid, screen = pty.fork()
if pid == 0:
    os.execvp(sys.argv[3], sys.argv[3:])
fcntl.ioctl(screen, termios.TIOCSWINSZ, struct.pack('HHHH', 24, 80, 0, 0))
waits, typed, shown = sys.argv[1].encode(), sys.argv[2].encode().decode('unicode_escape').encode(), b''
while True:
    if select.select([screen], [], [], 60)[0] == []:
        break
    try:
        part = os.read(screen, 65536)
    except OSError:
        break
    if not part:
        break
    shown += part
    if waits and waits in shown:
        os.write(screen, typed)
        waits = b''
sys.stdout.buffer.write(shown)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
`;

interface Typing {
  readonly when: string;
  readonly typed: string;
}

async function onTerminal(args: readonly string[], typing?: Typing, environment: Record<string, string> = {}) {
  const { when = '', typed = '' } = typing ?? {};
  const command = [process.execPath, launcher, ...args];
  const child = spawn('python3', ['-c', terminal, when, typed, ...command], {
    cwd: folder.path,
    env: environmentIn(folder.path, { TERM: 'xterm-256color', ...environment }),
  });
  const { promise: ended, resolve } = Promise.withResolvers<number>();
  child.on('close', (code) => resolve(code ?? -1));
  const [screen, exitCode] = await Promise.all([text(child.stdout), ended]);
  const lines = stripVTControlCharacters(screen.replaceAll('\r', '\n')).split('\n');
  return { screen, lines, exitCode };
}

const hasPython = await new Promise<boolean>((resolve) => {
  execFile('python3', ['-c', 'import pty'], (error) => resolve(error === null));
});

describe.skipIf(!hasPython)('on a terminal', () => {
  test('a backup shows a bar with done of total and rate, never wider than the terminal', async () => {
    const { lines, screen, exitCode } = await onTerminal(['backup', '--path', './data', ...repository]);
    expect(exitCode).toBe(0);
    expect(lines.some((line) => /backup files {2}\[[#-]+\] +\d+% .* of 192 MiB/.test(line))).toBe(true);
    expect(lines.filter((line) => line.length > 80)).toEqual([]);
    expect(screen).toContain('\u001B[32mbacked up');
  });

  test('NO_COLOR and --quiet are heard', async () => {
    const { screen } = await onTerminal(['backup', '--path', './data', '--quiet', ...repository], undefined, {
      NO_COLOR: '1',
    });
    expect(screen).not.toContain('[#');
    expect(screen).not.toContain('\u001B[3');
  });

  test('a password is asked for where none was given, and not shown', async () => {
    const typing = { when: 'Password', typed: `${testPassword}\\r` };
    const { screen, exitCode } = await onTerminal(['snapshots', ...repository], typing, { LIFEBOAT_PASSWORD: '' });
    expect(exitCode).toBe(0);
    expect(screen).toContain('snapshots');
    expect(screen).not.toContain(testPassword);
  });

  test('init asks for what no option gave', async () => {
    const given = ['--application', 'shop', '--environment', 'test', '--files', './data', '--create-repository'];
    const { screen } = await onTerminal(['init', ...given], { when: 'Where should', typed: '\\u0003' });
    expect(screen).toContain('Where should backups go');
    expect(screen).not.toContain('Name of the application');
    expect(await readdir(folder.path)).not.toContain('lifeboat.yaml');
  });

  test('what would be replaced must be confirmed by a typed word', async () => {
    const restore = ['restore', 'latest', ...repository];
    const refused = await onTerminal(restore, { when: "Type 'yes'", typed: 'no\\r' });
    expect(refused.exitCode).toBe(2);
    expect(refused.lines.join('\n')).toContain('not confirmed');
    const wrong = [
      'check',
      '-r',
      `s3://${'a-bucket-'.repeat(3)}/somewhere`,
      '--limit-upload',
      'as fast as it goes, but not faster',
    ];
    const told = await onTerminal(wrong);
    expect(told.lines.join(' ')).toContain('not faster');
    expect(told.lines.filter((line) => line.length > 80)).toEqual([]);
    // A terminal that is closed says the same.
    const left = await onTerminal(restore, { when: "Type 'yes'", typed: '\\u0004' });
    expect(left.exitCode).toBe(130);
    expect(left.lines.join('\n')).toContain('the question was not answered');
    const accepted = await onTerminal(restore, { when: "Type 'yes'", typed: 'yes\\r' });
    expect(accepted.exitCode).toBe(0);
  });
});

test('a pipe gets no bar and no colour', async () => {
  const ran = await runLifeboat(['backup', '--path', './data', '--force', ...repository], { folder: folder.path });
  expect(ran).toMatchObject({ exitCode: 0, stderr: '' });
  // oxlint-disable-next-line no-control-regex -- they are what must not be there
  expect(ran.stdout).not.toMatch(/[\r\u001B]/);
});

test.each(['ls latest', `dump latest /`])(
  'a reader of %s that goes away early is nothing to speak of',
  async (words) => {
    const { stderr } = await new Promise<{ stderr: string }>((resolve) => {
      const command = `"${process.execPath}" "${launcher}" ${words} ${repository.join(' ')} | head -c 1`;
      execFile('sh', ['-c', command], { cwd: folder.path, env: environmentIn(folder.path) }, (_, __, said) => {
        resolve({ stderr: said });
      });
    });
    expect(stderr).toBe('');
  },
);

describe('a long command that is asked to stop', () => {
  const backup = ['backup', '--path', './data', '--force', ...repository];

  test.skipIf(!hasPython)('says at once on a terminal that it heard, and how to end at once', async () => {
    const { lines, exitCode } = await onTerminal(backup, { when: 'backup files', typed: '\\u0003' });
    expect(exitCode).toBe(130);
    expect(lines).toContain(stopping);
    expect(lines).toContain('error: interrupted by SIGINT: what was stored stays stored');
  });

  test.each([[[], 'stopping\nerror: interrupted'] as const, [['--quiet'], 'error: interrupted'] as const])(
    'says so with %j where there is no terminal as far as it may',
    async (flags, beginning) => {
      // Locks are taken once the work begins.
      const locks = watch(join(folder.path, 'repository/locks'));
      const onStart = (child: ChildProcess): void => void locks.once('change', () => child.kill('SIGTERM'));
      const ran = await runLifeboat([...backup, ...flags], { folder: folder.path, onStart });
      locks.close();
      expect(ran).toMatchObject({ exitCode: 130, stdout: '' });
      expect(ran.stderr.slice(0, beginning.length)).toBe(beginning);
    },
  );

  test('a restore of files says that complete ones stay', async () => {
    expect(await runLifeboat(backup, { folder: folder.path })).toMatchObject({ exitCode: 0 });
    const ran = await runLifeboat(['restore', 'latest', '--to', './stopped', '--json', ...repository], {
      folder: folder.path,
      onStart: (child) => child.stdout?.once('data', () => child.kill('SIGINT')),
    });
    expect(ran).toMatchObject({ exitCode: 130 });
    expect(jsonLines(ran).at(-1)?.['message']).toMatch(
      /^interrupted by SIGINT: files below .* that were complete stay$/,
    );
  });
});

describeWith(['restic'], 'a backup that is interrupted', () => {
  test('ends with 130, stores what it stored, leaves no lock, and the next one goes on from there', async () => {
    const args = [
      'backup',
      '--path',
      './data',
      '--name',
      'again',
      '--host',
      'other',
      '--force',
      '--json',
      ...repository,
    ];
    await writeFile(join(folder.path, 'data/large'), randomBytes(64 * 2 ** 20));
    const interrupted = await runLifeboat(args, {
      folder: folder.path,
      onStart: (child) => child.stdout?.once('data', () => child.kill('SIGINT')),
    });
    expect(interrupted).toMatchObject({ exitCode: 130 });
    expect(interrupted.stdout).toContain('interrupted by SIGINT: what was stored stays stored');
    expect(jsonLines(interrupted)).toContainEqual({ message_type: 'note', text: 'stopping' });
    expect(interrupted.stderr).toBe('');
    expect(await readdir(join(folder.path, 'repository/locks'))).toEqual([]);
    expect(await runLifeboat(args, { folder: folder.path })).toMatchObject({ exitCode: 0 });
    const check = await new Promise<string>((resolve, reject) => {
      const restic = findTool('restic') ?? 'restic';
      const environment = environmentIn(folder.path, { RESTIC_PASSWORD: testPassword });
      execFile(
        restic,
        ['-r', './repository', 'check', '--read-data'],
        { cwd: folder.path, env: environment },
        (error, stdout) => (error === null ? resolve(stdout) : reject(error)),
      );
    });
    expect(check).toContain('no errors were found');
  });
});
