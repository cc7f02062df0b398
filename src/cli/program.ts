// The command line as a whole: which command is meant, its input, its output, its exit code. Commands are loaded when
// they are named, so that small ones stay quick.
import { Command as Commander, CommanderError, Option } from 'commander';
import { AppError } from '../base/errors.ts';
import type { Clock } from '../base/clock.ts';
import type { AnyCommand } from './command.ts';
import { addCompletion, type CompletionNames } from './completion.ts';
import { commandTable, isGroup, type CommandEntry } from './command-table.ts';
import type { CommandContext } from './context.ts';
import { failureJson, failureOf, failureOrInterruption, failureText } from './failure.ts';
import { formatHelp, globalHeading } from './help.ts';
import { brokenPipeExitCode, type Interruption } from './interruption.ts';
import type { ArgumentSpec } from './option.ts';
import { refuseSecretArguments } from './secret-argument.ts';
import { isInteractive, styleFor, toJson, widthOf, type Streams } from './terminal.ts';

/** A global option as the parser and the help need it. */
export interface GlobalOption {
  readonly name: string;
  /** Absent for what must not stand on a command line. */
  readonly flag?: string | undefined;
  readonly help: string;
}

export type GivenFlags = Readonly<Record<string, string | boolean | undefined>>;

export interface ProgramParts {
  readonly version: string;
  readonly globalOptions: readonly GlobalOption[];
  readonly streams: Streams;
  readonly clock: Clock;
  readonly interruption: Interruption;
  /** What flags and environment together decide about output. */
  readOutputOptions(flags: GivenFlags): OutputOptions;
  /** Names that a shell may complete; `words` are those of its line. */
  completionNames(words: readonly string[]): Promise<CompletionNames>;
  createContext(flags: GivenFlags, command: Pick<AnyCommand, 'isLong' | 'writesBytes'>): CommandContext;
}

export interface OutputOptions {
  readonly json: boolean;
  readonly verbose: boolean;
}

const usageExitCode = 2;
const closingHelp = `
Run 'lifeboat <command> --help' for the options and examples of a command,
and 'lifeboat completion bash|zsh|fish' for a script that completes them.`;

/** Runs one command line; resolves to the exit code. Never rejects. */
export async function runProgram(given: readonly string[], parts: ProgramParts): Promise<number> {
  // `help restore`, as other programs have it.
  const args = given[0] === 'help' ? [...given.slice(given[1] === 'help' ? 2 : 1), '--help'] : given;
  const isCompleting = args[0] === 'completion' || args[0] === 'complete';
  const run: Run = { parts, flags: {}, exitCode: 0, isCompleting, examples: new Map() };
  watchOutput(run);
  try {
    const exitCode = await parse(args, run);
    await flushed(parts.streams.stdout);
    if (run.outputFailure !== undefined) throw run.outputFailure;
    return exitCode;
  } catch (error) {
    return report(error instanceof CommanderError ? usageError(error) : error, args, run);
  }
}

async function parse(args: readonly string[], run: Run): Promise<number> {
  try {
    const program = await buildProgram(run, namesToLoad(args));
    if (run.isCompleting) await addCompletion(program, await run.parts.completionNames(args), run.parts.streams.stdout);
    else refuseSecretArguments(args);
    // Its help would be that of all commands: told as it is without asking for help.
    const words = namesUnknown(program, args) ? args.filter((word) => !helpFlags.has(word)) : args;
    await program.parseAsync(words, { from: 'user' });
    return run.exitCode;
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return 0;
    if (error instanceof CommanderError && error.code === 'commander.help') return usageExitCode;
    throw error;
  }
}

const helpFlags: ReadonlySet<string> = new Set(['-h', '--help']);

/** Whether the line begins with a word that is no command; behind an option it might be that option's value. */
function namesUnknown({ commands }: Commander, [word, ...rest]: readonly string[]): boolean {
  if (word === undefined || word.startsWith('-')) return false;
  const found = commands.find((command) => command.name() === word);
  return found === undefined || (found.commands.length > 0 && namesUnknown(found, rest));
}

/** Until all that was written before has gone out, or can't. */
function flushed(stream: NodeJS.WriteStream): Promise<void> {
  return new Promise((resolve) => stream.write('', () => resolve()));
}

interface Run {
  readonly parts: ProgramParts;
  flags: GivenFlags;
  command?: AnyCommand;
  exitCode: number;
  /** Standard output could not be written. */
  outputFailure?: AppError;
  /** A shell shows descriptions in one line. */
  readonly isCompleting: boolean;
  /** For the help. */
  readonly examples: Map<Commander, readonly string[]>;
}

/** Undefined for all: the help of the program lists every summary, a completion every name. */
export function namesToLoad(args: readonly string[]): ReadonlySet<string> | undefined {
  const named = new Set(args);
  const isCommand = (word: string): boolean => commandTable.some(({ name }) => name === word);
  const isForAll = ['complete', 'completion'].some((word) => named.has(word));
  // Before the first command it asks for the help of the program.
  const [first = ''] = args;
  const isHelp = !isCommand(first) && [...helpFlags].some((flag) => named.has(flag));
  return isForAll || isHelp || !args.some(isCommand) ? undefined : named;
}

export async function buildProgram(run: Run, names: ReadonlySet<string> | undefined): Promise<Commander> {
  const { parts } = run;
  const program = new Commander('lifeboat')
    .description('Backup and disaster recovery as code, with proof.')
    .usage('<command> [options]')
    .version(parts.version, '-V, --version', 'print the version')
    .helpCommand(false)
    .exitOverride()
    .showSuggestionAfterError()
    .configureOutput({
      writeOut: (text) => void parts.streams.stdout.write(text),
      // Of a command that lacks its sub-command.
      writeErr: (text) => void parts.streams.stderr.write(text),
      outputError: () => undefined, // Usage errors are reported like all others.
      getOutHelpWidth: () => Math.min(widthOf(parts.streams.stdout), 100),
    })
    .configureHelp({ formatHelp: (command, helper) => formatHelp(command, helper, run.examples.get(command) ?? []) })
    .addHelpText('after', closingHelp);
  await addCommands(program, commandTable, { run, names });
  addGlobalOptions(program, parts.globalOptions);
  return program;
}

async function addCommands(
  parent: Commander,
  entries: readonly CommandEntry[],
  options: { readonly run: Run; readonly names: ReadonlySet<string> | undefined },
): Promise<void> {
  for (const entry of entries) {
    const child = parent.command(entry.name, entry.isHidden === true ? { hidden: true } : {});
    if (options.names !== undefined && !options.names.has(entry.name)) continue;
    if (isGroup(entry)) child.description(entry.summary);
    else addCommand(child, await entry.load(), options.run);
    // Members are few; which one is meant may come after any option.
    if (entry.commands !== undefined) {
      await addCommands(child.helpCommand(false), entry.commands, { ...options, names: undefined });
    }
    addGlobalOptions(child, options.run.parts.globalOptions);
  }
}

function addGlobalOptions(command: Commander, options: readonly GlobalOption[]): void {
  for (const { flag, help } of options) {
    if (flag !== undefined) command.addOption(new Option(flag, help).helpGroup(globalHeading));
  }
}

function addCommand(child: Commander, command: AnyCommand, run: Run): void {
  child.summary(command.summary).description(run.isCompleting ? command.summary : descriptionOf(command));
  for (const { form, help } of Object.values(command.arguments)) child.argument(form, help);
  for (const { flag, help, choices, isRepeatable } of Object.values(command.options)) {
    const option = new Option(flag, help);
    if (choices !== undefined) option.choices([...choices]);
    if (isRepeatable === true) option.argParser(append);
    child.addOption(option);
  }
  run.examples.set(child, command.examples);
  child.action(async () => {
    run.flags = givenFlags(child, run.parts.globalOptions);
    run.command = command;
    run.exitCode = await perform(command, inputOf(child, command), run);
  });
}

function append(text: string, list: readonly string[] | undefined): readonly string[] {
  return [...(list ?? []), text];
}

function descriptionOf({ summary, details }: AnyCommand): string {
  return details === undefined ? `${summary}.` : `${summary}.\n\n${details}`;
}

/** Only what was given: what was not may come from the environment or the configuration. */
function givenFlags(command: Commander, options: readonly GlobalOption[]): GivenFlags {
  const flags: Record<string, string | boolean | undefined> = {};
  for (let at: Commander | null = command; at !== null; at = at.parent) {
    for (const { name, flag } of options) {
      if (flag === undefined || flags[name] !== undefined) continue;
      const key = new Option(flag).attributeName();
      if (at.getOptionValueSource(key) === 'cli') flags[name] = at.getOptionValue(key) as string | boolean;
    }
  }
  return flags;
}

function inputOf(child: Commander, command: AnyCommand): Record<string, unknown> {
  const input: Record<string, unknown> = {};
  Object.entries<ArgumentSpec<unknown>>(command.arguments).forEach(([name, spec], at) => {
    input[name] = spec.read(child.processedArgs[at]);
  });
  for (const [name, spec] of Object.entries(command.options)) {
    const option = new Option(spec.flag);
    const given: unknown = child.getOptionValue(option.attributeName());
    // The parser says `prune: true` where `--no-prune` is absent; a switch of ours says whether it was given.
    input[name] = spec.read(option.negate ? given === false : given);
  }
  return input;
}

async function perform(command: AnyCommand, input: Record<string, unknown>, run: Run): Promise<number> {
  const { parts, flags } = run;
  const { stdout } = parts.streams;
  const output = parts.readOutputOptions(flags);
  const context = parts.createContext(flags, command);
  let data: unknown;
  try {
    using _ = command.isLong === true ? announcedStop(context, run) : undefined;
    data = await command.run(context, input);
  } finally {
    context.progress.clear();
  }
  if (output.json && command.writesBytes !== true) {
    const isLines = command.isLong === true;
    const document = isLines ? { message_type: 'summary', ...(data as object) } : data;
    stdout.write(`${toJson(document, isLines ? undefined : 2)}\n`);
  } else {
    const text = command.render(data, styleFor(stdout, { clock: parts.clock, isVerbose: output.verbose }));
    if (text !== '') stdout.write(`${text}\n`);
  }
  return command.exitCode?.(data) ?? 0;
}

/** Stopping where nothing is half done takes its time: whoever asked must see at once that it was heard. */
function announcedStop({ progress }: Pick<CommandContext, 'progress'>, run: Run): Disposable {
  const { signal } = run.parts.interruption;
  const announce = (): void => {
    if (signal.reason === readerGone || signal.reason === run.outputFailure) return;
    // A service's log is read by nobody who could press anything.
    progress.note(isInteractive(run.parts.streams) ? 'stopping; press Ctrl-C again to end at once' : 'stopping');
  };
  signal.addEventListener('abort', announce, { once: true });
  return { [Symbol.dispose]: () => signal.removeEventListener('abort', announce) };
}

function report(thrown: unknown, args: readonly string[], run: Run): number {
  const { parts } = run;
  const { stdout, stderr } = parts.streams;
  const { signal } = parts.interruption;
  const reason = failureOrInterruption(thrown, signal, run.command?.interrupted);
  // `dump | head` saw what it wanted; a backup that its reader broke off has to be told.
  if (reason === readerGone && run.command?.isLong !== true) return brokenPipeExitCode;
  const failure = failureOf(reason);
  const output = outputOptionsFor(args, run);
  if (output.json) {
    const stream = run.command?.writesBytes === true || run.outputFailure !== undefined ? stderr : stdout;
    stream.write(`${failureJson(failure, output.verbose)}\n`);
  } else {
    stderr.write(`${failureText(failure, styleFor(stderr, { clock: parts.clock, isVerbose: output.verbose }))}\n`);
  }
  return failure.exitCode;
}

/** Where the command line could not be read, or the environment is what is wrong, the words themselves must do. */
function outputOptionsFor(args: readonly string[], { parts, flags, command }: Run): OutputOptions {
  const plain = { json: args.includes('--json'), verbose: args.includes('--verbose') || args.includes('-v') };
  try {
    return parts.readOutputOptions(command === undefined ? plain : flags);
  } catch (error) {
    if (error instanceof AppError) return plain;
    throw error;
  }
}

/** commander's message in our form: `unknown option '--jsn'`, and what was meant in the hint. */
function usageError(error: CommanderError): AppError {
  const [first = '', ...rest] = error.message.replace(/^error: /, '').split('\n');
  const suggestion = rest.map((line) => line.replaceAll(/[()]/g, '').trim()).find((line) => line.startsWith('Did you'));
  const help = "Run 'lifeboat --help' for the commands, or 'lifeboat <command> --help' for the options of one.";
  return new AppError('USAGE', first, {
    hint: suggestion === undefined ? help : `${suggestion} ${help}`,
    cause: error,
  });
}

const readerGone = new AppError('INTERRUPTED', 'the reader of the output went away', {
  hint: 'Run the command again.',
});

/**
 * `lifeboat ls | head`: when the reader is gone there is nobody left to tell. Output that can't be written for another
 * reason (a full disk) fails the command; where only messages can't be, the work goes on.
 */
function watchOutput(run: Run): void {
  const { streams, interruption } = run.parts;
  for (const stream of [streams.stdout, streams.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EPIPE') {
        process.exitCode = brokenPipeExitCode;
        interruption.stop(readerGone);
      } else if (stream === streams.stdout) {
        run.outputFailure ??= outputFailure(error);
        interruption.stop(run.outputFailure);
      }
    });
  }
}

function outputFailure(error: NodeJS.ErrnoException): AppError {
  const isFull = ['ENOSPC', 'EDQUOT'].includes(error.code ?? '');
  return new AppError(
    isFull ? 'STORE_FULL' : 'INTERRUPTED',
    `the output can't be written: ${error.code ?? error.message}`,
    {
      hint: isFull ? 'Free space where the output goes, and run the command again.' : 'Run the command again.',
      cause: error,
    },
  );
}
