// Probes against what they probe: web servers with and without TLS, ports, a name server, disks, processes and scripts.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { probeCommand } from '../../src/cli/commands/probe.ts';
import { probeSchema, type Observation, type ProbeOutcome } from '../../src/model/probe.ts';
import { judgeRoom } from '../../src/monitoring/probes/disk-probe.ts';
import type { ProbePorts } from '../../src/monitoring/probes/look.ts';
import { probe } from '../../src/monitoring/probes/probe.ts';
import { webReceiver, type WebReceiver } from '../support/alert-receivers.ts';
import { nameServer } from '../support/dns-server.ts';
import { runHere } from '../support/lifeboat.ts';
import { makeCertificate } from '../support/postgres-access.ts';
import { temporaryFolder, type TemporaryFolder } from '../support/temporary-folder.ts';
import { describeWith } from '../support/tools.ts';

let folder: TemporaryFolder;
beforeAll(async () => {
  folder = await temporaryFolder();
});
afterAll(() => folder[Symbol.asyncDispose]());

const never = new AbortController().signal;
const usualFolders = (process.env['PATH'] ?? '').split(':');

function ports(programFolders: readonly string[] = usualFolders): ProbePorts {
  const nobody = (): Promise<never> => Promise.reject(new Error('no probe of this file asks a component'));
  return { queryPostgres: nobody, redisInfo: nobody, programFolders };
}

/** As lifeboat.yaml would have it. */
async function look(settings: object, given: Partial<Parameters<typeof probe>[1]> = {}): Promise<Observation> {
  const observation = await probe(probeSchema.parse(settings), {
    signal: never,
    clock: systemClock,
    ports: ports(),
    ...given,
  });
  expect(observation.hint === undefined).toBe(observation.outcome === 'up');
  expect(JSON.stringify(observation)).not.toContain('planted');
  return observation;
}

describe('an HTTP probe', () => {
  let server: WebReceiver;
  beforeAll(async () => {
    server = await webReceiver();
  });
  afterAll(() => server[Symbol.asyncDispose]());
  const answer = (status: number, body: string, headers: Record<string, string> = {}): void => {
    server.answer = (response) => response.writeHead(status, headers).end(body);
  };
  const http = (settings: object = {}): object => ({ type: 'http', url: `${server.url}/health`, ...settings });

  test('takes the statuses that are expected', async () => {
    answer(204, '');
    expect(await look(http({ headers: { Authorization: 'Bearer planted' } }))).toMatchObject({
      outcome: 'up',
      message: 'status 204',
      facts: { status: 204, bytes: 0 },
    });
    expect(server.requests.at(-1)).toMatchObject({ method: 'GET', headers: { authorization: 'Bearer planted' } });
    answer(503, 'planted page');
    expect(await look(http())).toMatchObject({ outcome: 'down', message: 'status 503, expected 2xx' });
    expect(await look(http({ status: ['2xx', 503], method: 'POST', body: 'planted' }))).toMatchObject({
      outcome: 'up',
    });
    expect(server.requests.at(-1)).toMatchObject({ method: 'POST', body: 'planted' });
  });

  test('looks into what comes: text, patterns, values of JSON', async () => {
    answer(200, '{"status":"ok","checks":[{"name":"db","lag":3}],"page":"planted"}');
    expect(await look(http({ contains: '"ok"', matches: String.raw`^\{.*"lag":\d+` }))).toMatchObject({
      outcome: 'up',
    });
    const json = [
      { path: 'status', equals: 'ok' },
      { path: 'checks[0].lag', equals: 3 },
    ];
    expect(await look(http({ json }))).toMatchObject({ outcome: 'up' });
    const wrong = [...json, { path: 'checks[0].lag', equals: 4 }, { path: 'checks[1].name', equals: 'x' }];
    expect(await look(http({ json: wrong, contains: 'fine' }))).toMatchObject({
      outcome: 'down',
      message: 'lacks \'fine\'; checks[0].lag is 3, expected 4; checks[1].name is nothing, expected "x"',
    });
    answer(200, 'ok');
    expect(await look(http({ json }))).toMatchObject({ outcome: 'down', message: 'the answer is not JSON' });
  });

  test('follows redirects as far as allowed, and tells no other server what was meant for this one', async () => {
    await using other = await webReceiver(undefined, (response) => response.end('other'));
    answer(302, '', { location: `${other.url}/there` });
    const headers = { Authorization: 'Bearer planted' };
    expect(await look(http({ contains: 'other', headers }))).toMatchObject({ outcome: 'up', facts: { redirects: 1 } });
    expect(other.requests.at(-1)?.headers.authorization).toBeUndefined();
    expect(await look(http({ redirects: 0, status: [302] }))).toMatchObject({ outcome: 'up' });
    answer(307, '', { location: '/health' });
    expect(await look(http({ redirects: 3 }))).toMatchObject({ outcome: 'down', message: 'status 307, expected 2xx' });
  });

  test('calls slow what is slow, and down what hangs, breaks off, or is not there', async () => {
    server.answer = (response) => void setTimeout(() => response.end('late'), 60);
    expect(await look(http({ slow: '10ms' }))).toMatchObject({
      outcome: 'degraded',
      message: expect.stringMatching(/^took \d+ms, more than 10ms$/) as string,
    });
    server.answer = () => undefined;
    expect(await look(http({ timeout: '200ms' }))).toMatchObject({
      outcome: 'down',
      message: 'no answer within 0.2 s',
    });
    server.answer = (response) => void response.destroy();
    expect(await look(http())).toMatchObject({ outcome: 'down', message: 'the connection broke off (ECONNRESET)' });
    expect(await look(http({ url: 'http://nowhere.invalid/' }))).toMatchObject({ outcome: 'down' });
    server.answer = () => undefined;
    const stopped = new AbortController();
    setTimeout(() => stopped.abort(new Error('the server stops')), 30);
    await expect(look(http(), { signal: stopped.signal })).rejects.toThrow('the server stops');
  });
});

describeWith(['openssl'], 'probes of what is encrypted', () => {
  test('trust what they are told to, and warn before a certificate ends', async () => {
    const certificate = makeCertificate(folder.path, 'site');
    const [key, cert] = [certificate.keyFile, certificate.certificateFile].map((path) => readFileSync(path, 'utf8'));
    const tls = { key: key ?? '', cert: cert ?? '' };
    await using site = await webReceiver(tls);
    const raw = createTlsServer(tls, (socket) => socket.on('error', () => undefined).end()).listen(0, '127.0.0.1');
    await once(raw, 'listening');
    const { port } = raw.address() as AddressInfo;
    const web = { type: 'http', url: site.url };
    const tcp = { type: 'tcp', host: '127.0.0.1', port, tls: true };
    const fails = { outcome: 'down', message: 'its certificate is not trusted (DEPTH_ZERO_SELF_SIGNED_CERT)' };
    const ca = certificate.certificateFile;
    const end = { certificateEnds: expect.stringMatching(/^20\d\d-/) as string };
    for (const settings of [web, tcp]) {
      expect(await look(settings)).toMatchObject(fails);
      // The certificate lasts two days.
      expect(await look({ ...settings, ca, certificateDays: 0 })).toMatchObject({ outcome: 'up', facts: end });
      expect(await look({ ...settings, ca })).toMatchObject({
        outcome: 'degraded',
        message: 'its certificate ends in 1 day',
      });
    }
    expect(await look({ ...web, ca: '/nowhere/ca.pem' })).toMatchObject({ outcome: 'unknown' });
    raw.close();
    expect(await look({ type: 'tcp', host: '127.0.0.1', port })).toMatchObject({
      outcome: 'down',
      message: 'nothing listens there (ECONNREFUSED)',
    });
  });
});

test('a TCP probe is content with an open port', async () => {
  const server = createServer((socket) => socket.on('error', () => undefined)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  expect(await look({ type: 'tcp', host: '127.0.0.1', port })).toMatchObject({ outcome: 'up' });
  server.close();
});

test('a DNS probe compares the records that a name server tells', async () => {
  await using server = await nameServer({
    'shop.example A': ['192.0.2.1', '192.0.2.2'],
    'shop.example TXT': ['v=spf1 -all'],
    'shop.example MX': ['10 mail.shop.example'],
  });
  const dns = { type: 'dns', name: 'shop.example', resolver: server.address };
  expect(await look(dns)).toMatchObject({ outcome: 'up', message: '192.0.2.1, 192.0.2.2' });
  expect(await look({ ...dns, values: ['192.0.2.2', '192.0.2.1'] })).toMatchObject({ outcome: 'up' });
  expect(await look({ ...dns, values: ['192.0.2.1', '192.0.2.9'] })).toMatchObject({
    outcome: 'down',
    message: 'lacks 192.0.2.9 and has 192.0.2.2',
  });
  expect(await look({ ...dns, record: 'TXT', values: ['v=spf1 -all'] })).toMatchObject({ outcome: 'up' });
  expect(await look({ ...dns, record: 'MX', values: ['10 mail.shop.example'] })).toMatchObject({ outcome: 'up' });
  expect(await look({ ...dns, name: 'nowhere.example' })).toMatchObject({
    outcome: 'down',
    message: 'there is no such name: A of nowhere.example',
  });
  server.isSilent = true;
  expect(await look({ ...dns, timeout: '400ms' })).toMatchObject({ outcome: 'down' });
});

describe('a disk probe', () => {
  test('looks at the file system of a path', async () => {
    const found = await look({
      type: 'disk',
      path: folder.path,
      warn: '1 B',
      min: '1 B',
      inodesWarn: '0%',
      inodesMin: '0%',
    });
    expect(found).toMatchObject({ outcome: 'up', message: expect.stringMatching(/ free \([\d.]+ %\)$/) as string });
    expect(found.facts['freeBytes']).toBeGreaterThan(0);
    expect(await look({ type: 'disk', path: folder.path, min: '100%' })).toMatchObject({ outcome: 'down' });
    expect(await look({ type: 'disk', path: join(folder.path, 'nowhere') })).toMatchObject({ outcome: 'down' });
  });

  test('warns before it is down, by share, size and inodes', () => {
    const settings = probeSchema.parse({ type: 'disk', path: '/', warn: '10%', min: '50 B' });
    if (settings.type !== 'disk') throw new Error('a disk');
    const outcome = (freeBytes: number, freeInodes = 100): string =>
      judgeRoom({ sizeBytes: 1000, freeBytes, inodes: 100, freeInodes }, settings).outcome;
    expect([100, 99, 50, 49].map((free) => outcome(free))).toEqual(['up', 'degraded', 'degraded', 'down']);
    expect([10, 9, 5, 4].map((free) => outcome(1000, free))).toEqual(['up', 'degraded', 'degraded', 'down']);
    expect(judgeRoom({ sizeBytes: 1000, freeBytes: 1000, inodes: 0, freeInodes: 0 }, settings).outcome).toBe('up');
  });
});

describe('a process probe', () => {
  test('finds a process by its number and by its command line, and misses it when it is gone', async () => {
    const mark = `probe-${process.pid}`;
    const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)', mark], { stdio: 'ignore' });
    const pidFile = join(folder.path, 'process.pid');
    await writeFile(pidFile, `${child.pid}\n`);
    const byNumber = { type: 'process', pidFile };
    const byCommand = { type: 'process', command: `setInterval.*${mark}` };
    expect(await look(byNumber)).toMatchObject({ outcome: 'up', message: `process ${child.pid} runs` });
    expect(await look(byCommand)).toMatchObject({ outcome: 'up', facts: { count: 1 } });
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
    expect(await look(byNumber)).toMatchObject({ outcome: 'down' });
    expect(await look(byCommand)).toMatchObject({ outcome: 'down' });
    await writeFile(pidFile, 'soon');
    expect(await look(byNumber)).toMatchObject({ outcome: 'unknown' });
    expect(await look({ type: 'process', pidFile: join(folder.path, 'none') })).toMatchObject({ outcome: 'down' });
  });

  test('asks systemctl for a unit, and knows nothing where there is no systemd', async () => {
    const programs = join(folder.path, 'programs');
    await mkdir(programs);
    const systemctl = join(programs, 'systemctl');
    const unit = { type: 'process', unit: 'postgresql@15-main.service' };
    const answering = async (script: string): Promise<Observation> => {
      await writeFile(
        systemctl,
        `#!/bin/sh\n[ "$*" = "is-active -- postgresql@15-main.service" ] || exit 64\n${script}\n`,
      );
      await chmod(systemctl, 0o755);
      return look(unit, { ports: ports([programs, ...usualFolders]) });
    };
    expect(await answering('echo active')).toMatchObject({
      outcome: 'up',
      message: 'postgresql@15-main.service is active',
    });
    expect(await answering('echo failed; exit 3')).toMatchObject({ outcome: 'down', facts: { state: 'failed' } });
    expect(await answering('exit 1')).toMatchObject({ outcome: 'unknown', message: 'systemd does not run here' });
    expect(await look(unit, { ports: ports([join(folder.path, 'empty')]) })).toMatchObject({ outcome: 'unknown' });
  });
});

describe('a script probe', () => {
  const script = (text: string): object => ({ type: 'script', run: ['/bin/sh', '-c', text] });

  test('reads exit code, first line and measures as plugins of Nagios give them', async () => {
    expect(await look(script(`echo "OK - fine | time=0.02s;1;2 'free space'=12GB"; echo more`))).toEqual({
      outcome: 'up',
      message: 'OK - fine',
      facts: { time: 0.02, 'free space': 12 },
      atMs: expect.any(Number) as number,
      latencyMs: expect.any(Number) as number,
    });
    const ends = [1, 2, 3, 7].map((code) => look(script(`echo said; exit ${code}`)));
    expect((await Promise.all(ends)).map(({ outcome, message }) => `${outcome}: ${message}`)).toEqual([
      'degraded: said',
      'down: said',
      'unknown: said',
      'unknown: /bin/sh ended with 7: said',
    ]);
    expect(await look(script('kill -KILL $$'))).toMatchObject({ outcome: 'unknown' });
    expect(await look({ type: 'script', run: ['/nowhere/plugin'] })).toMatchObject({
      outcome: 'unknown',
      message: 'cannot run /nowhere/plugin (ENOENT)',
    });
  });

  test('is told nothing of our environment but what it is given', async () => {
    const own = script('echo "$GIVEN-$HOME$LIFEBOAT_PASSWORD$USER-$(cat | wc -c)"');
    expect(await look({ ...own, environment: { GIVEN: 'given' } })).toMatchObject({
      outcome: 'up',
      message: 'given--0',
    });
  });

  test('is ended with all that it started when time is up, and its output never grows without bound', async () => {
    const mark = join(folder.path, 'grandchild.pid');
    const hangs = script(
      `trap '' TERM; (trap '' TERM; echo $$ > /dev/null; sh -c 'echo $$ > ${mark}; exec sleep 60') & wait; sleep 60`,
    );
    expect(await look({ ...hangs, timeout: '400ms' })).toMatchObject({
      outcome: 'down',
      message: 'no answer within 0.4 s',
    });
    const pid = Number(await readFile(mark, 'utf8'));
    await expect.poll(() => isRunning(pid)).toBe(false);

    const much = await look(script('head -c 20000000 /dev/zero | tr "\\0" x'));
    expect(much.outcome).toBe('up');
    expect(much.message.length).toBeLessThanOrEqual(300);
    // What it leaves in the background holds its output open, and is ended.
    const left = await look(script(`sleep 60 & echo $! > ${mark}; echo done`));
    expect(left).toMatchObject({ outcome: 'up', message: 'done' });
    const leftPid = Number(await readFile(mark, 'utf8'));
    await expect.poll(() => isRunning(leftPid)).toBe(false);
  });
});

/** A zombie whose parent does not look after it has ended all the same. */
function isRunning(pid: number): boolean {
  try {
    return !/^\d+ \(.*\) Z/.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}

test('lifeboat probe shows a table, tells what is not set up, and ends with 1 where something is down', async () => {
  await writeFile(
    join(folder.path, 'lifeboat.yaml'),
    `application: shop
repositories: { local: { location: ./repository } }
components: { data: { type: files, paths: [.] } }
probes:
  disk: { type: disk, path: ., warn: 1 B, min: 1 B, inodesWarn: 0%, inodesMin: 0%, component: data }
  plugin: { type: script, run: [./plugin.sh, a b] }
  away: { type: tcp, host: 127.0.0.1, port: 1 }
  login: { type: http, url: 'http://127.0.0.1:1/', headers: { Authorization: '\${LOGIN_TOKEN}' } }
`,
  );
  await writeFile(join(folder.path, 'plugin.sh'), '#!/bin/sh\necho "warning: $1"; exit 1\n');
  await chmod(join(folder.path, 'plugin.sh'), 0o755);
  const run = (...args: string[]) => runHere(['probe', ...args], { folder: folder.path });
  const all = await run();
  expect(all.exitCode).toBe(1);
  expect(
    all.stdout
      .replaceAll(/\d+\.\d s/g, 'N.N s')
      .replaceAll(/[\d.]+ \w+ free \([\d.]+ %\)/g, 'N free')
      .replaceAll(folder.path, 'FOLDER'),
  ).toMatchInlineSnapshot(`
    "PROBE   STATE      TOOK  WHAT
    disk    up        N.N s  N free
    plugin  degraded  N.N s  warning: a b
                             hint: Run FOLDER/plugin.sh by hand
                             to see more.
    away    DOWN      N.N s  nothing listens there (ECONNREFUSED)
                             hint: Check the address, and the network between here
                             and there.
    login   unknown   N.N s  lifeboat.yaml:8:78: probes.login.headers.Authorization:
                             found \${LOGIN_TOKEN}, which is not set, expected the
                             environment variable LOGIN_TOKEN, or
                             \${LOGIN_TOKEN:-default}
                             hint: Set what is missing; 'set -a; . ./.env; set +a'
                             takes the variables of a .env file.
    "
  `);
  const one = await run('plugin', '--json');
  expect(one.exitCode).toBe(3);
  const observation = { outcome: 'degraded', message: 'warning: a b' };
  expect(JSON.parse(one.stdout)).toMatchObject({ probes: [{ name: 'plugin', observation }] });
  expect(await run('dsk')).toMatchObject({ exitCode: 4, stderr: expect.stringContaining("no probe 'dsk'") as string });

  const exitCode = (...outcomes: readonly ProbeOutcome[]): number | undefined => {
    const looked = { message: '', atMs: 0, latencyMs: 0, facts: {} };
    const probes = outcomes.map((outcome) => ({ name: '', component: undefined, observation: { ...looked, outcome } }));
    return probeCommand.exitCode?.({ probes });
  };
  expect(exitCode('up', 'up')).toBe(0);
  expect(exitCode('up', 'degraded')).toBe(3);
  expect(exitCode('unknown', 'degraded')).toBe(21);
  expect(exitCode('unknown', 'down')).toBe(1);
});
