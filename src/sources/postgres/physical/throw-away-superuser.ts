// Makes a superuser in a copy whose own roles are production's, before anybody can connect: by the server in single-user mode, which
// also replays the copy's WAL for the first time.
import { once } from 'node:events';
import { AppError } from '../../../base/errors.ts';
import { collectMessages, spawnSingleUserServer } from '../server-process.ts';
import type { ServerPlace } from '../local-server.ts';

export interface SuperuserRequest {
  readonly dataFolder: string;
  readonly settings: readonly string[];
  /** Plain letters, digits and `_`. */
  readonly user: string;
  /** Characters of base64url. */
  readonly password: string;
}

/** What a machine lacks, in contrast to what is wrong with the copy. */
const lackOfMachine =
  /no space left|shared memory|semaphore|cannot allocate|permission denied|locale|could not (?:load|access)/i;

export async function createSuperuser(
  place: ServerPlace,
  request: SuperuserRequest,
  signal: AbortSignal,
): Promise<void> {
  const { dataFolder, settings, user, password } = request;
  signal.throwIfAborted();
  const flags = ['fsync=off', 'full_page_writes=off', ...settings].flatMap((setting) => ['-c', setting]);
  const child = spawnSingleUserServer(place, ['-D', dataFolder, ...flags, 'template1']);
  place.guard(child, 'TERM');
  const messages = collectMessages(child);
  const stop = (): boolean => child.kill('SIGTERM');
  signal.addEventListener('abort', stop, { once: true });
  try {
    child.stdin?.on('error', () => undefined); // It ended before it read: its exit says why.
    child.stdin?.end(`CREATE ROLE ${user} SUPERUSER LOGIN PASSWORD '${password}'\n`);
    const [code] = await once(child, 'close');
    signal.throwIfAborted();
    if (code !== 0 || /^\S.* (?:ERROR|FATAL|PANIC): /m.test(messages())) throw startFailed(messages());
  } catch (error) {
    signal.throwIfAborted();
    throw error instanceof AppError ? error : startFailed(String(error));
  } finally {
    signal.removeEventListener('abort', stop);
  }
}

function startFailed(messages: string): AppError {
  const lines = messages.split('\n');
  const said = lines.findLast((line) => /(?:ERROR|FATAL|PANIC): /.test(line)) ?? lines.at(-1) ?? 'it said nothing';
  const code = lackOfMachine.test(said) ? 'INCONCLUSIVE' : 'VERIFICATION_FAILED';
  return new AppError(code, `a server does not start from the copy: ${said}`, {
    hint:
      code === 'INCONCLUSIVE'
        ? 'Give this machine what the message names, then prove again.'
        : 'Take a full backup now, and prove it.',
  });
}
