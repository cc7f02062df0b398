// A replay that does not wait for the disk: all that it writes is brought there once, at its end. Until then a power cut may leave
// anything behind, so no other server may start on it; the mark of an unfinished restore alone would stop none.
import { once } from 'node:events';
import { AppError } from '../../../base/errors.ts';
import { collectMessages, type ProgramPlace, spawnServerProgram } from '../server-process.ts';
import { withSettings } from './recovery-settings.ts';

/** For the command line of the server that replays, where it beats the barrier too. */
export const unsynced: readonly (readonly [string, string])[] = [['fsync', 'off']];

/** A file that is not there, whose name says why: a server refuses to start without it. Ours is told of another. */
const barrier = ['hba_file', '/nowhere/lifeboat-restore-did-not-end'] as const;

export function withBarrier(text: string): string {
  return withSettings(text, [barrier]);
}

export function withoutBarrier(text: string): string {
  return text.replaceAll(withSettings('', [barrier]), '');
}

/** As PostgreSQL says how it is done after a server ran without `fsync`; tablespaces too. */
export async function syncDataFolder(place: ProgramPlace, dataFolder: string, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  const child = spawnServerProgram(place, 'initdb', ['--sync-only', '-D', dataFolder]);
  const messages = collectMessages(child);
  const stop = (): boolean => child.kill('SIGTERM');
  signal.addEventListener('abort', stop, { once: true });
  try {
    const [code] = (await once(child, 'close')) as [number | null];
    signal.throwIfAborted();
    if (code === 0) return;
    throw new AppError('RESTORE_FAILED', `${dataFolder} could not be brought to the disk: ${messages()}`, {
      hint: 'Look at the disk of the target.',
    });
  } finally {
    signal.removeEventListener('abort', stop);
  }
}
