// One unlocked repository for all commands of the demonstration. A key is slow to derive on purpose (half a second each
// time); sixteen commands in a row would spend a third of their time on it.
import type { CommandContext, OpenedRepository } from '../cli/context.ts';
import { openOne } from '../cli/repository-choice.ts';

export interface Unlocked extends AsyncDisposable {
  readonly context: CommandContext;
}

/** `context` with its only repository open until this is closed. */
export async function unlock(context: CommandContext): Promise<Unlocked> {
  const opened = await openOne(context, 'write');
  const lent: OpenedRepository = { ...opened, [Symbol.asyncDispose]: () => Promise.resolve() };
  return {
    context: { ...context, openRepository: () => Promise.resolve(lent) },
    [Symbol.asyncDispose]: () => opened[Symbol.asyncDispose](),
  };
}
