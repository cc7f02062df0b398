// A job of the service lives no longer than the right to it. Its worker speaks over the channel between processes as long as the job is
// its own; where the channel breaks off (the worker was killed) or stays silent (it was stopped, or lost its lease), the job ends
// itself: by then another worker may begin with it.
import { setImmediate } from 'node:timers/promises';
import { z } from 'zod';
import { formatDuration } from '../base/duration.ts';
import { AppError } from '../base/errors.ts';
import { interruptedExitCode, type Interruption } from './interruption.ts';

/** What of a process is needed here. */
type TetheredProcess = Pick<NodeJS.Process, 'on' | 'off' | 'exit' | 'connected' | 'channel'>;

export interface TetherOptions {
  /** So long the worker may be silent; undefined in a process that no worker started. */
  readonly silenceMaxMs: number | undefined;
  /** So long the work may take to stop where nothing is half done. */
  readonly graceMs?: number;
}

/** Of the silence, where nothing else is said. */
const graceShare = 0.5;

const handedSchema = z.object({ configurations: z.record(z.string(), z.string()) });
const handedMaxMs = 10_000;

/** Texts of configuration files by their path, as the worker read them: the first thing that it says. Nothing in a process of nobody's. */
export function handedConfigurations(
  process: Pick<TetheredProcess, 'on' | 'off' | 'connected'>,
  { silenceMaxMs }: Pick<TetherOptions, 'silenceMaxMs'>,
): Promise<ReadonlyMap<string, string>> {
  if (silenceMaxMs === undefined || !process.connected) return Promise.resolve(new Map());
  return new Promise((resolve) => {
    const hear = (message?: unknown): void => {
      clearTimeout(timer);
      process.off('message', hear);
      process.off('disconnect', hear);
      resolve(new Map(Object.entries(handedSchema.safeParse(message).data?.configurations ?? {})));
    };
    // A worker that says nothing, or is gone, ends this process soon.
    const timer = setTimeout(hear, handedMaxMs);
    process.on('message', hear);
    process.on('disconnect', hear);
  });
}

export function watchTether(
  process: TetheredProcess,
  interruption: Pick<Interruption, 'stop'>,
  { silenceMaxMs, graceMs = (silenceMaxMs ?? 0) * graceShare }: TetherOptions,
): Disposable {
  if (silenceMaxMs === undefined || !process.connected) return { [Symbol.dispose]: () => undefined };
  let heard = 0;
  const stop = (message: string): void => {
    interruption.stop(new AppError('INTERRUPTED', message, { hint: 'Whoever has the job now goes on with it.' }));
    setTimeout(() => process.exit(interruptedExitCode), graceMs).unref();
  };
  const silent = async (): Promise<void> => {
    const before = heard;
    // A process that was stopped itself finds its timer over and words still unread.
    await setImmediate();
    await setImmediate();
    if (heard === before) stop(`the worker was silent for ${formatDuration(silenceMaxMs)}`);
  };
  const timer = setTimeout(() => void silent(), silenceMaxMs);
  timer.unref();
  const onMessage = (): void => {
    heard += 1;
    timer.refresh();
  };
  const onDisconnect = (): void => stop('the worker is gone');
  process.on('message', onMessage);
  process.on('disconnect', onDisconnect);
  // It alone keeps no process alive.
  process.channel?.unref();
  return {
    [Symbol.dispose]: () => {
      clearTimeout(timer);
      process.off('message', onMessage);
      process.off('disconnect', onDisconnect);
    },
  };
}
