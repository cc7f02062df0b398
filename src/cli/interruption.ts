// Ctrl-C, a polite kill and a terminal that goes away: the first asks the work to stop where nothing is half done, the
// second ends at once.
import { isatty } from 'node:tty';
import { AppError } from '../base/errors.ts';

export const interruptedExitCode = 130;
/** What a shell shows for a program whose reader went away. */
export const brokenPipeExitCode = 141;

const signalNames = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

export interface Interruption extends Disposable {
  readonly signal: AbortSignal;
  /** Stops the work for a reason of our own. */
  stop(reason: AppError): void;
}

/** What of a process is needed here. */
type SignalTarget = Pick<NodeJS.Process, 'on' | 'off' | 'exit'>;

/** `hasHungUp` says whether a SIGHUP means what its name says. */
export function watchInterruption(target: SignalTarget, hasHungUp = terminalWatch()): Interruption {
  const controller = new AbortController();
  const onSignal = (name: NodeJS.Signals): void => {
    // restic asks by this signal whether the owner of a lock still lives: a backup must not end because somebody asks.
    if (name === 'SIGHUP' && !hasHungUp()) return;
    // The second time: whoever sends it does not want to wait. Crash safety takes care of the rest.
    if (controller.signal.aborted) target.exit(interruptedExitCode);
    controller.abort(
      // What it leaves behind the commands know.
      new AppError('INTERRUPTED', `interrupted by ${name}`, { hint: 'Run the command again.' }),
    );
  };
  for (const name of signalNames) target.on(name, onSignal);
  return {
    signal: controller.signal,
    stop: (reason) => controller.abort(reason),
    [Symbol.dispose]: () => {
      for (const name of signalNames) target.off(name, onSignal);
    },
  };
}

/** A terminal that was there at the start and is none any more has hung up; without one nothing can. */
function terminalWatch(): () => boolean {
  const terminals = [0, 1, 2].filter((descriptor) => isatty(descriptor));
  return () => terminals.some((descriptor) => !isatty(descriptor));
}
