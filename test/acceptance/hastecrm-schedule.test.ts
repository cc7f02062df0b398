// hasteCRM's schedule is set up by one script. Where systemd does not run, a stand-in notes what it is asked, and the test starts what the
// unit says as systemd would.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, cpSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { environmentIn, launcher } from '../support/lifeboat.ts';
import { createRepository, testPassword } from '../support/repository.ts';
import { eventually } from '../support/server-process.ts';
import { runScript } from '../support/example-application.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

test('S1-11 S1-86 one script sets the schedule up: what systemd then starts backs up by itself', async () => {
  await using home = await temporaryFolder();
  const folder = join(home.path, 'hastecrm');
  cpSync(fileURLToPath(new URL('../../examples/hastecrm/', import.meta.url)), folder, { recursive: true });
  // The same policy every second, for files alone: what servers would give is not what this is about.
  const path = join(folder, 'lifeboat.yaml');
  const text = readFileSync(path, 'utf8');
  const [policies = ''] = /policies:\n[^]*?(?=\ncomponents:)/.exec(text) ?? [];
  const nightly = policies
    .replace(/cron: '0 2 \* \* \*'/, 'every: 1s')
    .replace(/ +- name: offsite\n[^]*?(?= {4}verification)/, '');
  expect(nightly).toContain('every: 1s');
  writeFileSync(
    path,
    `application: hastecrm\nservice: { selfBackup: false }\nrepositories: { local: { location: ./repository, passwordFile: ./password } }\n${nightly}
components: { uploads: { type: files, paths: [./fixtures], policy: nightly } }\n`,
  );
  writeFileSync(join(folder, 'password'), testPassword, { mode: 0o600 });
  const programs = join(home.path, 'bin');
  const calls = join(home.path, 'calls');
  mkdirSync(programs);
  writeFileSync(join(programs, 'systemctl'), `#!/bin/sh\necho "$*" >> '${calls}'\n`);
  chmodSync(join(programs, 'systemctl'), 0o755);
  symlinkSync(launcher, join(programs, 'lifeboat'));
  const environment = { ...environmentIn(home.path), PATH: `${programs}:${process.env['PATH'] ?? ''}` };
  await createRepository(folder);
  const script = join(folder, 'scripts/backup/backup-cron.sh');
  expect(await runScript(script, ['--user'], environment)).toMatchObject({ exitCode: 0 });
  expect(readFileSync(calls, 'utf8')).toContain('--user enable lifeboat-hastecrm.service');

  const unit = readFileSync(join(home.path, '.config/systemd/user/lifeboat-hastecrm.service'), 'utf8');
  const setting = (name: string): string => new RegExp(`^${name}=(.*)$`, 'm').exec(unit)?.[1] ?? '';
  const [program = '', ...args] = setting('ExecStart').split(' ');
  const [, state = ''] = setting('Environment').split('=');
  const server = spawn(program, [...args, '--listen', '0'], {
    cwd: setting('WorkingDirectory'),
    env: { PATH: process.env['PATH'] ?? '', HOME: home.path, XDG_STATE_HOME: state },
  });
  const exited = once(server, 'exit');
  let said = '';
  for (const stream of [server.stdout, server.stderr]) stream.on('data', (chunk: Buffer) => (said += chunk.toString()));
  try {
    await eventually(() => said.includes('hastecrm: backup/uploads succeeded'));
    expect(readdirSync(join(folder, 'repository/snapshots')).length).toBeGreaterThan(0);
  } finally {
    server.kill();
    await exited;
  }
});
