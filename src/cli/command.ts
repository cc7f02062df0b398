// The shape of a command: summary, options, `run` (returns data, prints nothing) and `render` (pure). Reading one command
// teaches all.
import type { Leftover } from '../base/interrupted.ts';
import type { CommandContext } from './context.ts';
import type { ArgumentSpecs, InputOf, OptionSpecs } from './option.ts';
import type { Style } from './style.ts';

export interface Command<
  Arguments extends ArgumentSpecs = ArgumentSpecs,
  Options extends OptionSpecs = OptionSpecs,
  Data = unknown,
> {
  /** One phrase, imperative, without a period. */
  readonly summary: string;
  /** Further sentences for the help. */
  readonly details?: string | undefined;
  /** Whole command lines, each with a comment behind `#`. */
  readonly examples: readonly string[];
  readonly arguments: Arguments;
  readonly options: Options;
  /** With `--json`: lines with `message_type` instead of one document, since its work may take long. */
  readonly isLong?: boolean | undefined;
  /** Standard output belongs to the bytes that `run` writes; errors go to standard error even with `--json`. */
  readonly writesBytes?: boolean | undefined;
  /** What an interruption leaves behind, wherever it comes. */
  readonly interrupted?: Leftover | undefined;
  run(context: CommandContext, input: InputOf<Arguments, Options>): Promise<Data>;
  /** At most `style.width` columns; empty for nothing to say. */
  render(data: Data, style: Style): string;
  /** 0 if absent. */
  exitCode?(data: Data): number;
}

/** Keeps the types of a command's own arguments and options. */
export function defineCommand<Arguments extends ArgumentSpecs, Options extends OptionSpecs, Data>(
  command: Command<Arguments, Options, Data>,
): Command<Arguments, Options, Data> {
  return command;
}

/** A command whose types were checked where it was defined. */
export type AnyCommand = Command;
