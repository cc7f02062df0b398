// The unit for systemd: what systemd itself says of it, and which calls put it in place. Where systemd does not run, a stand-in for
// `systemctl` notes what it is asked.
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { unitText } from '../../src/cli/systemd-unit.ts';
import { runLifeboat } from '../support/lifeboat.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const verifier = spawnSync('systemd-analyze', ['--version']).status === 0;
const configuration = 'application: shop\nrepositories: { local: { location: ./repo } }\ncomponents: {}\n';

describe('the unit', () => {
  test.skipIf(!verifier)('is what systemd reads without a word, odd names included', async () => {
    await using folder = await temporaryFolder();
    const path = join(folder.path, 'lifeboat-shop.service');
    const odd = join(folder.path, 'a b$c%d"e');
    mkdirSync(odd);
    const text = unitText({
      application: 'shop',
      program: [process.execPath],
      configurationPath: join(odd, 'lifeboat.yaml'),
      workingFolder: odd,
      stateHome: odd,
      environmentFile: join(odd, 'shop.env'),
      isOfUser: false,
    });
    writeFileSync(path, text);
    const { status, stderr } = spawnSync('systemd-analyze', ['verify', '--man=no', path], { encoding: 'utf8' });
    const own = stderr.split('\n').filter((line) => line.includes('lifeboat-shop'));
    expect([status, own]).toEqual([0, []]);
    expect(text).toContain(String.raw`a b$$c%%d\"e`);
  });

  test('is put in place, replaced only where it is said, and taken away', async () => {
    await using home = await temporaryFolder();
    writeFileSync(join(home.path, 'lifeboat.yaml'), configuration);
    const programs = join(home.path, 'bin');
    const calls = join(home.path, 'calls');
    mkdirSync(programs);
    writeFileSync(join(programs, 'systemctl'), `#!/bin/sh\necho "$*" >> '${calls}'\n`);
    chmodSync(join(programs, 'systemctl'), 0o755);
    const environment: Record<string, string> = { PATH: `${programs}:${process.env['PATH'] ?? ''}` };
    const service = (...args: string[]) => runLifeboat(['service', ...args], { folder: home.path, environment });
    const unit = join(home.path, '.config/systemd/user/lifeboat-shop.service');

    const shown = await service('install', '--user', '--dry-run');
    expect(shown.stdout).toContain('WantedBy=default.target');
    expect([shown.exitCode, existsSync(unit)]).toEqual([3, false]); // No file holds the password: it is said.
    expect(shown.stdout.replaceAll(/\s+/g, ' ')).toContain('The password of local is in no file.');
    // What the machine will not have when it starts the server is said, each by its name.
    const referring = configuration.replace('{}', '{ db: { type: postgres, password: "${DB_PASSWORD}" } }');
    writeFileSync(
      join(home.path, 'lifeboat.yaml'),
      `${referring}alerts: { channels: { chat: { type: slack, url: '\${CHAT}' } } }\n`,
    );
    Object.assign(environment, { DB_PASSWORD: 'x', CHAT: 'https://hooks.example/x', PGUSER: 'backups' });
    const lacking = async () => (await service('install', '--user', '--dry-run')).stdout.replaceAll(/\s+/g, ' ');
    const named = ['DB_PASSWORD', 'CHAT', 'PGUSER', 'LIFEBOAT_PASSWORD'];
    const before = await lacking();
    expect(named.filter((name) => !before.includes(name))).toEqual([]);
    mkdirSync(join(home.path, '.config/lifeboat'), { recursive: true });
    writeFileSync(join(home.path, '.config/lifeboat/shop.env'), named.map((name) => `${name}=https://x\n`).join(''));
    expect(await lacking()).not.toMatch(/missing|hint/);
    rmSync(join(home.path, '.config/lifeboat/shop.env'));
    for (const name of ['DB_PASSWORD', 'CHAT', 'PGUSER'] as const) delete environment[name];
    writeFileSync(join(home.path, 'password'), 'secret');
    writeFileSync(
      join(home.path, 'lifeboat.yaml'),
      configuration.replace('./repo }', './repo, passwordFile: ./password }'),
    );
    expect((await service('install', '--user')).exitCode).toBe(0);
    expect(readFileSync(calls, 'utf8').trim().split('\n')).toEqual([
      '--user daemon-reload',
      '--user enable lifeboat-shop.service',
      '--user restart lifeboat-shop.service',
    ]);
    // Where systemd does not run nothing is left of it.
    const without = await runLifeboat(['service', 'install', '--user'], {
      folder: home.path,
      environment: { PATH: '/nowhere' },
    });
    expect([without.exitCode, existsSync(unit)]).toEqual([1, true]);
    rmSync(unit);
    await runLifeboat(['service', 'install', '--user'], { folder: home.path, environment: { PATH: '/nowhere' } });
    expect(existsSync(unit)).toBe(false);
    writeFileSync(unit, 'of somebody else');
    expect((await service('install', '--user')).exitCode).toBe(2);
    expect(readFileSync(unit, 'utf8')).toBe('of somebody else');
    expect((await service('install', '--user', '--yes')).exitCode).toBe(0);
    expect((await service('uninstall', '--user')).exitCode).toBe(2);
    expect((await service('uninstall', '--user', '--yes')).exitCode).toBe(0);
    expect(existsSync(unit)).toBe(false);
    expect((await service('uninstall', '--user', '--yes')).exitCode).toBe(4);
    expect(readFileSync(calls, 'utf8')).toContain('--user disable --now lifeboat-shop.service');
  });
});
