// Questions on a terminal. Answers to questions about passwords are not shown.
import type * as ClackModule from '@clack/prompts';
import { AppError } from '../base/errors.ts';

export interface Prompter {
  text(question: string, options?: TextQuestion): Promise<string>;
  secret(question: string): Promise<string>;
  choose<Value extends string>(question: string, choices: readonly Choice<Value>[]): Promise<Value>;
  confirm(question: string, isYesByDefault: boolean): Promise<boolean>;
}

export interface TextQuestion {
  readonly suggestion?: string;
  /** What is wrong with an answer; undefined if nothing is. */
  readonly validate?: (answer: string) => string | undefined;
}

export interface Choice<Value> {
  readonly value: Value;
  readonly label: string;
}

type Clack = typeof ClackModule;

/** Questions go to standard error, so that standard output stays what the command returns. */
export function terminalPrompter(signal: AbortSignal): Prompter {
  async function ask<Value>(
    question: (clack: Clack, common: { output: NodeJS.WriteStream; signal: AbortSignal }) => Promise<Value>,
  ): Promise<Exclude<Value, symbol>> {
    // Loaded when the first question comes up: most runs ask none.
    const clack = await import('@clack/prompts');
    using ended = endOfInput();
    const answer = await question(clack, {
      output: process.stderr,
      signal: AbortSignal.any([signal, ended.signal]),
    });
    if (!clack.isCancel(answer)) return answer as Exclude<Value, symbol>;
    throw new AppError('INTERRUPTED', 'the question was not answered', { hint: 'Run the command again to answer it.' });
  }
  return {
    text: (message, { suggestion, validate } = {}) =>
      ask((clack, common) =>
        clack.text({
          message,
          ...common,
          ...(suggestion !== undefined && { initialValue: suggestion }),
          validate: (answer) => validate?.(answer ?? ''),
        }),
      ),
    secret: (message) => ask((clack, common) => clack.password({ message, ...common })),
    choose: (message, choices) =>
      ask((clack, common) =>
        clack.select<string>({ message, ...common, options: choices.map((choice) => ({ ...choice })) }),
      ) as Promise<(typeof choices)[number]['value']>,
    confirm: (message, isYesByDefault) =>
      ask((clack, common) => clack.confirm({ message, ...common, initialValue: isYesByDefault })),
  };
}

/** Ctrl-D, or nobody types any more: clack would stop listening and never answer. */
function endOfInput(): Disposable & { readonly signal: AbortSignal } {
  const ended = new AbortController();
  const end = (): void => ended.abort();
  const press = (_text: unknown, key?: { readonly ctrl?: boolean; readonly name?: string }): void => {
    if (key?.ctrl === true && key.name === 'd') end();
  };
  process.stdin.on('keypress', press).once('end', end);
  return {
    signal: ended.signal,
    [Symbol.dispose]: () => void process.stdin.off('keypress', press).off('end', end),
  };
}
