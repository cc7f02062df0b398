// The demonstration as a newcomer runs it, with less data: a process of its own, in a folder of its own, with a folder for
// temporary data of its own, so that whatever it would leave behind is seen.
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { createInterface } from 'node:readline/promises';
import { promisify, stripVTControlCharacters } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { DemoReport } from '../../src/demo/report.ts';
import { processesIn } from '../support/processes-in-folder.ts';
import { runLifeboat } from '../support/lifeboat.ts';
import { temporaryFolder, type TemporaryFolder } from '../support/temporary-folder.ts';
import { describeWith, findTool } from '../support/tools.ts';

const program = join(import.meta.dirname, '../../bin/lifeboat.js');
const testMaxMs = 480_000;

interface Place {
  readonly work: string;
  readonly temporary: string;
}

function placeIn(folder: TemporaryFolder): Place {
  const place = { work: join(folder.path, 'work'), temporary: join(folder.path, 'temporary') };
  mkdirSync(place.work);
  mkdirSync(place.temporary);
  for (const path of [folder.path, place.temporary]) chmodSync(path, 0o711); // The server's account passes through.
  return place;
}

/** Of the place alone; Node's own cache of compiled code is no concern here. */
function environmentOf({ work, temporary }: Place, path = process.env['PATH']) {
  return { PATH: path, HOME: work, TMPDIR: temporary, NODE_DISABLE_COMPILE_CACHE: '1', LIFEBOAT_DEMO_SCALE: '0.02' };
}

function start(place: Place) {
  return spawn(process.execPath, [program, 'start', '--json'], {
    cwd: place.work,
    env: environmentOf(place),
    stdio: ['ignore', 'pipe', 'inherit'],
  });
}

interface Ran {
  readonly code: number | null;
  readonly lines: readonly Record<string, unknown>[];
}

async function run(place: Place): Promise<Ran> {
  const child = start(place);
  const [text, [code]] = await Promise.all([textOf(child.stdout), once(child, 'close') as Promise<[number | null]>]);
  const lines = text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  return { code, lines };
}

async function textOf(stream: AsyncIterable<Buffer>): Promise<string> {
  return Buffer.concat(await Array.fromAsync(stream)).toString();
}

function leftBehind({ temporary }: Place): { readonly files: string[]; readonly processes: number[] } {
  return { files: readdirSync(temporary), processes: processesIn(temporary) };
}

const nothing = { files: [], processes: [] };

interface Shown {
  /** On the terminal, without its colours and bars. */
  readonly text: string;
  /** Running once the story was told. */
  readonly processes: { readonly servers: number; readonly lifeboat: number };
  readonly code: number | null;
}

/** On a terminal, until it is told to stop. */
async function runOnTerminal(place: Place): Promise<Shown> {
  const child = spawn('script', ['-qec', `exec ${process.execPath} ${program} start`, '/dev/null'], {
    cwd: place.work,
    env: environmentOf(place),
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const closed = once(child, 'close') as Promise<[number | null]>;
  let shown = '';
  let processes: Shown['processes'] | undefined;
  for await (const chunk of child.stdout) {
    shown += String(chunk);
    const [, sinceUp = ''] = shown.split('until you press Ctrl-C');
    if (!sinceUp.includes('was read again') || processes !== undefined) continue;
    const [servers, lifeboat] = [place.temporary, place.work].map((folder) => processesIn(folder).length);
    processes = { servers: servers ?? 0, lifeboat: lifeboat ?? 0 };
    child.stdin.write('\u0003');
  }
  const [code] = await closed;
  const text = stripVTControlCharacters(shown).replaceAll('\r', '\n');
  return { text, processes: processes ?? { servers: 0, lifeboat: 0 }, code };
}

describeWith(['redis-server', 'restic'], 'the demonstration', () => {
  let folder: TemporaryFolder;
  let place: Place;
  let shown: Shown;
  let report: DemoReport;

  beforeAll(async () => {
    folder = await temporaryFolder();
    place = placeIn(folder);
    shown = await runOnTerminal(place);
    report = JSON.parse(readFileSync(join(place.work, 'lifeboat-demo/report.json'), 'utf8')) as DemoReport;
  }, testMaxMs);

  afterAll(() => folder[Symbol.asyncDispose]());

  it('tells its steps in order', () => {
    const steps = [...shown.text.matchAll(/^ ?\d+\/14 (?<name>[a-z]+(?: [a-z]+)?) +/gm)].map(
      ({ groups }) => groups?.['name'],
    );
    expect(steps.join(', ')).toBe(
      'create, serve, back up, receive, go on, back up, prove, order on, disaster, alert, restore, compare, all clear, secure',
    );
    expect(report.failures).toEqual([]);
    expect(shown.text).toContain('Everything that was lost came back');
  });

  it('stays up on a terminal, with mails and what the server does, until Ctrl-C', () => {
    expect(shown.text).toMatch(/All goes on\.[^]*Try in another\s+terminal:\s+cd lifeboat-demo/);
    expect(shown.processes.servers).toBeGreaterThan(2);
    expect(shown.processes.lifeboat).toBeGreaterThan(1);
    expect(shown.text).toMatch(/The servers are stopped\. The backups stay in\s/);
    expect(shown.code).toBe(0);
    expect(leftBehind(place)).toEqual(nothing);
    expect(processesIn(place.work)).toEqual([]);
  });

  it('leaves no server out where the programs are there', () => {
    expect(report.leftOut).toEqual([]);
    expect(report.recoveries.map(({ component }) => component).toSorted()).toEqual([
      'cache',
      'configuration',
      'database',
      'uploads',
    ]);
  });

  it('loses some of every component and gets all of it back', () => {
    for (const recovery of report.recoveries) {
      expect(recovery.lost).toBeGreaterThan(0);
      expect(recovery.lost).toBeLessThanOrEqual(recovery.before);
      expect(recovery.compared).toBeGreaterThan(0);
      expect(recovery).toMatchObject({ back: recovery.lost, differences: [] });
    }
  });

  it('proves of the database the rows that it had at the second backup', () => {
    const [, rows = ''] = /go on .*?: (?<rows>[\d,]+) rows/.exec(shown.text.replaceAll(/\s+/g, ' ')) ?? [];
    expect(Number(rows.replaceAll(',', ''))).toBeGreaterThan(4_000);
    expect(report.proofs.find(({ component }) => component === 'database')).toMatchObject({
      outcome: 'passed',
      rows: Number(rows.replaceAll(',', '')),
    });
  });

  it('brings back the orders that came in after the last backup', () => {
    const database = report.recoveries.find(({ component }) => component === 'database');
    const proven = report.proofs.find(({ component }) => component === 'database')?.rows ?? 0;
    expect(database?.before).toBeGreaterThan(proven);
    expect(report.journal).toMatchObject({ ordersSinceBackup: 20, ordersLost: 0 });
  });

  it('measures of each commit how long the server alone had it', () => {
    const { longestMs = 0, meanMs = 0, commits } = report.journal?.lossWindow ?? {};
    expect(commits).toBe(40);
    expect(meanMs).toBeGreaterThan(0);
    expect(longestMs).toBeGreaterThanOrEqual(meanMs);
  });

  it('is told by mail that the shop is out of order, and that it works again', () => {
    const { noticed, resolved } = report.alert;
    expect(noticed.subject).toBe('[CRITICAL] demo-shop/demo database: orders: Down');
    expect(resolved.subject).toBe('[RESOLVED] demo-shop/demo database: orders: Down');
    expect(resolved.seconds).toBeGreaterThan(noticed.seconds);
    expect(readFileSync(noticed.path, 'utf8')).toContain('To: on-call@shop.example');
  });

  it('backs up the database as it is, the second time what changed', () => {
    const types = [report.backups.first, report.backups.second].map(
      (backups) => backups.find(({ component }) => component === 'database')?.type,
    );
    expect(types).toEqual(['full', 'incremental']);
  });

  it('stores less in the second backup than in the first', () => {
    const stored = (backups: DemoReport['backups']['first']) =>
      backups.reduce((sum, { storedBytes }) => sum + storedBytes, 0);
    expect(stored(report.backups.second)).toBeGreaterThan(0);
    expect(stored(report.backups.second)).toBeLessThan(stored(report.backups.first) / 4);
  });

  it('keeps passwords for their owner alone, and no password in lifeboat.yaml', () => {
    const text = readFileSync(join(report.folder, 'lifeboat.yaml'), 'utf8');
    for (const file of [report.repository.passwordFile, join(report.folder, 'database-password')]) {
      expect(statSync(file).mode & 0o777).toBe(0o600);
      expect(text).not.toContain(readFileSync(file, 'utf8').trim());
    }
  });

  it(
    'leaves a repository on which every command that it suggests works',
    async () => {
      expect(report.commands.length).toBeGreaterThan(5);
      // The disaster was backed up as well: where enough backups came before it, that one is told as odd, which is 3.
      const mayBeOdd = (command: string): string =>
        command.endsWith('.js status') ? `${command} || [ $? -eq 3 ]` : command;
      const script = ['set -e', ...report.commands.map(({ command }) => mayBeOdd(command))].join('\n');
      const folders = [dirname(process.execPath), process.env['PATH'] ?? '', dirname(findTool('restic') ?? '')];
      const env = environmentOf(place, folders.join(delimiter));
      const { stdout } = await promisify(execFile)('sh', ['-c', script], { cwd: place.work, env, maxBuffer: 2 ** 24 });
      expect(stdout).toContain('no errors were found');
      expect(stdout).toMatch(/^passed {2}database, /m);
      const restored = join(report.folder, 'restored', report.folder, 'shop/uploads/videos/tour-1.mp4');
      expect(readFileSync(restored).equals(readFileSync(join(report.folder, 'shop/uploads/videos/tour-1.mp4')))).toBe(
        true,
      );
      expect(leftBehind(place)).toEqual(nothing);
    },
    testMaxMs,
  );

  it(
    'starts anew in its own folder, keeps what the user put there, and stops servers and receiver when it is interrupted',
    async () => {
      const notes = join(report.folder, 'notes.txt');
      writeFileSync(notes, 'mine');
      const password = readFileSync(report.repository.passwordFile, 'utf8');
      const child = start(place);
      const closed = once(child, 'close');
      for await (const line of createInterface(child.stdout)) {
        if (!line.includes('"receive"')) continue;
        expect(processesIn(place.temporary).length).toBeGreaterThan(2);
        expect(processesIn(report.folder).length).toBeGreaterThan(0);
        child.kill('SIGINT');
      }
      expect(await closed).toEqual([130, null]);
      expect(leftBehind(place)).toEqual(nothing);
      expect(readFileSync(notes, 'utf8')).toBe('mine');
      expect(readFileSync(report.repository.passwordFile, 'utf8')).not.toBe(password);
    },
    testMaxMs,
  );
});

describe('the demonstration', () => {
  it('touches nothing in a folder of that name that it did not make', async () => {
    await using folder = await temporaryFolder();
    const place = placeIn(folder);
    mkdirSync(join(place.work, 'lifeboat-demo/repository'), { recursive: true });
    const { code, lines } = await run(place);
    expect(lines.at(-1)).toMatchObject({ message_type: 'error', code: 'TARGET_UNSAFE' });
    expect(code).toBe(1);
    expect(readdirSync(join(place.work, 'lifeboat-demo'))).toEqual(['repository']);
  });

  it('says where it works and what that takes before it touches anything', async () => {
    await using folder = await temporaryFolder();
    mkdirSync(join(folder.path, 'lifeboat-demo/repository'), { recursive: true });
    const ran = await runLifeboat(['start'], { folder: folder.path });
    expect(ran.exitCode).toBe(1);
    expect(ran.stderr).toMatch(
      /^A small shop is made.*\n.* in \.\/lifeboat-demo, which grows to about 180 MB.*\nerror: /,
    );
  });
});
