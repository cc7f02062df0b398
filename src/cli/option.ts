// What a command takes from the command line: arguments and options, each declared once with its flag, its help and the
// conversion of its text. The parser, the help, the reference page and the types of `run` derive from these.
import { AppError } from '../base/errors.ts';

interface InputSpec<Value> {
  /** A phrase for the help. */
  readonly help: string;
  /** What the parser found, or undefined; throws `USAGE`. */
  read(given: unknown): Value;
}

export interface OptionSpec<Value> extends InputSpec<Value> {
  /** As commander writes it: `--tag <tag>`. */
  readonly flag: string;
  readonly choices?: readonly string[] | undefined;
  /** May be given several times; each adds to the list. */
  readonly isRepeatable?: boolean | undefined;
}

export interface ArgumentSpec<Value> extends InputSpec<Value> {
  /** `<snapshot>`, `[path]`, `[component...]`. */
  readonly form: string;
}

export type ArgumentSpecs = Readonly<Record<string, ArgumentSpec<unknown>>>;
export type OptionSpecs = Readonly<Record<string, OptionSpec<unknown>>>;
type ValuesOf<Specs> = {
  readonly [Name in keyof Specs]: Specs[Name] extends InputSpec<infer Value> ? Value : never;
};
export type InputOf<Arguments extends ArgumentSpecs, Options extends OptionSpecs> = ValuesOf<Arguments> &
  ValuesOf<Options>;

const textOf = (given: unknown): string | undefined => (typeof given === 'string' ? given : undefined);
const textsOf = (given: unknown): readonly string[] => (Array.isArray(given) ? given.map(String) : []);

export function requiredArgument(form: string, help: string): ArgumentSpec<string> {
  return { form, help, read: (given) => textOf(given) ?? '' };
}

export function optionalArgument(form: string, help: string): ArgumentSpec<string | undefined> {
  return { form, help, read: textOf };
}

export function listArgument(form: string, help: string): ArgumentSpec<readonly string[]> {
  return { form, help, read: textsOf };
}

export function switchOption(flag: string, help: string): OptionSpec<boolean> {
  return { flag, help, read: (given) => given === true };
}

export function textOption(flag: string, help: string): OptionSpec<string | undefined> {
  return { flag, help, read: textOf };
}

/** Given once for each value: one flag for several values would swallow the arguments behind it. */
export function listOption(flag: string, help: string): OptionSpec<readonly string[]> {
  return { flag, help: `${help}; may be repeated`, isRepeatable: true, read: textsOf };
}

export function choiceOption<const Choices extends readonly string[]>(
  flag: string,
  help: string,
  choices: Choices,
): OptionSpec<Choices[number] | undefined> {
  // The parser refuses everything else.
  return { flag, help, choices, read: textOf };
}

/** A text that `parse` turns into a value; undefined from `parse` means that it is not `expected`. */
export function parsedOption<Value>(
  flag: string,
  help: string,
  form: { readonly expected: string; parse(text: string): Value | undefined },
): OptionSpec<Value | undefined> {
  return {
    flag,
    help,
    read(given) {
      const text = textOf(given);
      if (text === undefined) return undefined;
      const value = form.parse(text);
      if (value !== undefined) return value;
      throw new AppError('USAGE', `${flag}: found '${text}', expected ${form.expected}`, {
        hint: `Give ${form.expected}.`,
      });
    },
  };
}

const limitDefault = 20;

/** Of lists that are long. */
export const limitOption: OptionSpec<number> = {
  flag: '--limit <count>',
  help: `how many (default: ${limitDefault})`,
  read(given) {
    const text = textOf(given) ?? String(limitDefault);
    if (/^(?:[1-9]\d{0,2}|1000)$/.test(text)) return Number(text);
    const expected = 'a whole number from 1 to 1000';
    throw new AppError('USAGE', `--limit: found '${text}', expected ${expected}`, { hint: `Give ${expected}.` });
  },
};
