// A server whose machine is lost, and the same server on an empty one: by its repository and password, and by a recovery kit where the
// password is lost too.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { generateIdentity, identityToRecipient } from 'age-encryption';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { AuditList } from '../../src/cli/commands/audit-list.ts';
import type { RunsListData } from '../../src/cli/commands/runs-list.ts';
import type { ServiceRecoverData } from '../../src/cli/commands/service-recover.ts';
import type { RunView } from '../../src/service/run-view.ts';
import { runHere, type Ran } from '../support/lifeboat.ts';
import { testPassword } from '../support/repository.ts';
import { eventually, startServerProcess } from '../support/server-process.ts';
import { temporaryFolder, type TemporaryFolder } from '../support/temporary-folder.ts';
import { describeWith } from '../support/tools.ts';

describe('a server', () => {
  let home: TemporaryFolder;
  const at = (...names: string[]): string => join(home.path, ...names);
  const repository = (): string => at('repository');

  beforeAll(async () => {
    home = await temporaryFolder();
    for (const machine of ['old', 'new', 'third']) {
      mkdirSync(at(machine, 'data'), { recursive: true });
      writeFileSync(at(machine, 'data', 'file'), machine);
    }
    const files = { type: 'files', paths: ['./data'] };
    const components = {
      files: { ...files, policy: { schedule: { every: '2s' } } },
      away: { ...files, labels: ['host=elsewhere'] },
    };
    const policy = { schedule: { before: 'deployment' } };
    const configuration = {
      application: 'shop',
      repositories: { main: { location: repository() } },
      components: { ...components, away: { ...components.away, policy } },
    };
    writeFileSync(at('old', 'lifeboat.yaml'), JSON.stringify(configuration));
    await runs('old', 0, 'repository', 'init');
  });
  afterAll(() => home[Symbol.asyncDispose]());

  /** On one of the machines, which share nothing but the repository. */
  async function runs(machine: string, exitCode: number, ...args: string[]): Promise<Ran> {
    const ran = await runHere(args, { folder: at(machine) });
    if (ran.exitCode !== exitCode) throw new Error(`${args.join(' ')}: ${ran.exitCode} ${ran.stdout} ${ran.stderr}`);
    return ran;
  }
  async function document<Data>(machine: string, ...args: string[]): Promise<Data> {
    return JSON.parse((await runs(machine, 0, ...args, '--json')).stdout) as Data;
  }
  const history = async (machine: string, ...args: string[]): Promise<readonly RunView[]> =>
    (await document<RunsListData>(machine, 'runs', 'list', '--limit', '1000', ...args)).runs;
  const recover = (...args: string[]): string[] => ['service', 'recover', '--repository', repository(), ...args];

  function catalogOf<Result>(machine: string, work: (db: DatabaseSync) => Result): Result {
    using db = new DatabaseSync(at(machine, '.local/state/lifeboat/catalog.sqlite'), { timeout: 10_000 });
    return work(db);
  }

  let token = '';

  test(
    'whose machine is lost goes on elsewhere: history, tokens and configuration, and no tick of the past',
    { timeout: 240_000 },
    async () => {
      ({ token } = await document<{ token: string }>('old', 'token', 'create', 'deploy', '--role', 'operator'));
      await document('old', 'runs', 'start', '--before', 'deployment'); // No worker carries its label.
      {
        await using old = await startServerProcess(at('old'));
        // It backs its state up by itself, since there is no backup yet.
        await eventually(() => /self-backup\/main succeeded[\s\S]*backup\/files succeeded/.test(old.said()));
        await runs('old', 0, 'service', 'backup');
        await runs('new', 11, ...recover()); // It lives.
        expect(existsSync(at('new', 'lifeboat.yaml'))).toBe(false);
        old.child.kill('SIGKILL');
        await old.exited;
      }
      const planned = await document<ServiceRecoverData>('new', ...recover('--dry-run'));
      expect(planned).toMatchObject({ isDryRun: true, decision: { oldServer: { seemsAlive: true }, generation: 2 } });
      expect([existsSync(at('new', 'lifeboat.yaml')), existsSync(at('new', '.local'))]).toEqual([false, false]);
      await runs('new', 11, ...recover('--yes'));
      const recovered = await document<ServiceRecoverData>('new', ...recover('--force', 'the disk burnt'));
      expect(recovered).toMatchObject({ missing: [], outcome: { setAside: [] } });
      expect(readFileSync(at('new', 'lifeboat.yaml'))).toEqual(readFileSync(at('old', 'lifeboat.yaml')));
      expect(statSync(at('new', 'lifeboat.yaml')).mode & 0o077).toBe(0);
      const before = await history('new');
      expect(before.filter(({ state }) => ['queued', 'running', 'waiting'].includes(state))).toEqual([]);
      expect(before.find(({ component }) => component === 'away')).toMatchObject({
        state: 'cancelled',
        error: { code: 'SERVICE_RECOVERED' },
      });
      expect(before.find(({ component, state }) => component === 'files' && state === 'succeeded')).toBeDefined();
      const audit = await document<AuditList>('new', 'audit', 'list');
      const entry = audit.entries.at(-1);
      expect(entry).toMatchObject({ action: 'service.recovered', details: { force: 'the disk burnt', generation: 2 } });
      await runs('new', 0, 'audit', 'verify');
      // The new one works, and backs its own state up; the old one, back from the dead, stops.
      await using server = await startServerProcess(at('new'));
      await eventually(() => /self-backup\/main succeeded/.test(server.said()));
      await eventually(() => /backup\/files succeeded/.test(server.said()));
      const address = /answers at (http:\S+)/.exec(server.said())?.[1] ?? '';
      const answer = await fetch(`${address}/api/v1/runs`, { headers: { authorization: `Bearer ${token}` } });
      expect(answer.status).toBe(200);
      // No moment from before the recovery is dealt with after it; it put an end to them a little before its entry was written.
      const recoveredAtMs = Date.parse(entry?.at ?? '') - 500;
      const dealt = 'select count(*) as count from firing where planned_at_ms < ? and fired_at_ms > ?';
      expect(catalogOf('new', (db) => db.prepare(dealt).get(recoveredAtMs, recoveredAtMs))).toEqual({ count: 0 });
      // Long silent, so that it looks before it does anything.
      catalogOf('old', (db) => db.exec('update service set signed_at_ms = 1'));
      await using ghost = await startServerProcess(at('old'));
      expect(await ghost.exited).toBe(13);
      expect(ghost.said()).toContain('SERVICE_REPLACED');
      expect(ghost.said()).not.toContain('is ready');
      // From then on always.
      expect(catalogOf('old', (db) => db.prepare('select signed_at_ms as at from service').get())).toEqual({ at: 0 });
      await using again = await startServerProcess(at('old'));
      expect(await again.exited).toBe(13);
      expect(again.said()).not.toContain('is ready');
      await runs('old', 13, 'service', 'backup');
      server.child.kill('SIGTERM');
      expect(await server.exited).toBe(0);
    },
  );

  test(
    'of which every password is lost comes back by its recovery kit, once it was stopped, and nothing there is lost',
    { timeout: 120_000 },
    async () => {
      const identity = await generateIdentity();
      const recipient = await identityToRecipient(identity);
      await runs('new', 0, 'repository', 'kit', '--recipient', recipient, '--output', '../third/kit.txt');
      writeFileSync(at('third', 'identity.txt'), `# kept apart\n${identity}\n`);
      writeFileSync(at('third', 'password'), 'another one');
      const kit = ['--kit', 'kit.txt', '--identity', 'identity.txt', '--new-password-file', 'password'];
      const withoutPassword = { folder: at('third'), environment: { LIFEBOAT_PASSWORD: '' } };
      const added = await runHere(['repository', 'keys', 'add', ...kit, '--repository', repository()], withoutPassword);
      expect(added).toMatchObject({ exitCode: 0, stdout: expect.stringContaining('by the kit') as string });
      const again = recover('--password-file', 'password', '--json');
      const first = await runHere(again, withoutPassword);
      expect([first.exitCode, first.stderr]).toEqual([0, '']);
      expect(JSON.parse(first.stdout)).toMatchObject({ decision: { oldServer: { seemsAlive: false }, generation: 3 } });
      expect((await runs('third', 0, 'token', 'list')).stdout).toContain('deploy');
      // What lies there is set aside, and only after confirmation.
      writeFileSync(
        at('third', 'lifeboat.yaml'),
        '{application: other, repositories: {main: {location: /x}}, components: {}}',
      );
      const refused = await runHere(again, withoutPassword);
      expect(refused).toMatchObject({ exitCode: 2, stdout: expect.stringContaining('CONFIRMATION_NEEDED') as string });
      const replaced = await runHere([...again, '--yes'], withoutPassword);
      const { outcome } = JSON.parse(replaced.stdout) as ServiceRecoverData;
      expect(outcome?.setAside).toHaveLength(2);
      expect(outcome?.setAside.map((path) => existsSync(path))).toEqual([true, true]);
    },
  );

  describeWith(['restic'], 'restic', () => {
    test('lists and reads the state as any snapshot, and no secret is in it', async () => {
      const restic = (...args: string[]): string =>
        execFileSync('restic', ['--repo', repository(), '--no-cache', ...args], {
          env: { ...process.env, RESTIC_PASSWORD: testPassword },
          encoding: 'utf8',
        });
      const snapshots = JSON.parse(restic('snapshots', '--tag', 'lifeboat', '--json')) as { tags: string[] }[];
      expect(snapshots.length).toBeGreaterThan(1);
      expect(snapshots[0]?.tags).toEqual(['component=_service', 'lifeboat']);
      const tokens = restic('dump', '--tag', 'lifeboat', 'latest', '/_service/catalog/apiToken.jsonl');
      expect(JSON.parse(tokens)).toMatchObject({
        name: 'deploy',
        hash: expect.stringMatching(/^[0-9a-f]{64}$/) as string,
      });
      expect(tokens).not.toContain(token);
    });
  });
});
