// `lifeboat server` beside the shop: a process of its own, as anybody would start it, with what it says.
import { AppError, asError } from '../base/errors.ts';
import { runJob, type Launcher } from '../service/job-process.ts';

export interface DemoServer extends AsyncDisposable {
  /** Of its API: `http://127.0.0.1:7411`. */
  readonly address: string;
}

export interface ServerEvents {
  /** It says something. */
  readonly onNote: (text: string) => void;
  /** It has ended, and nobody asked it to. */
  readonly onGone: (reason: Error) => void;
}

/** At once; all components are of one small machine. */
const jobsMax = 3;

/** Resolves when it answers. */
export async function startServer(
  launcher: Launcher,
  { onNote, onGone }: ServerEvents,
  signal: AbortSignal,
): Promise<DemoServer> {
  const { promise: address, resolve, reject } = Promise.withResolvers<string>();
  const stop = new AbortController();
  const listen = (text: string): void => {
    const url = /^the API answers at (?<url>\S+)$/.exec(text)?.groups?.['url'];
    if (url !== undefined) resolve(url);
    onNote(text);
  };
  const stopped = AbortSignal.any([signal, stop.signal]);
  const args = ['server', '--listen', '0', '--jobs', String(jobsMax)];
  const run = async (): Promise<void> => {
    let reason: Error = new AppError('JOB_FAILED', 'the server has ended', { hint: 'Run the demonstration again.' });
    try {
      await runJob({ ...launcher, args }, { onNote: listen, onStatus: () => undefined }, stopped);
    } catch (error) {
      reason = asError(error);
    }
    reject(reason);
    if (!stopped.aborted) onGone(reason);
  };
  const ended = run();
  const close = async (): Promise<void> => {
    stop.abort();
    await ended;
  };
  try {
    return { address: await address, [Symbol.asyncDispose]: close };
  } catch (error) {
    await close();
    throw error;
  }
}
