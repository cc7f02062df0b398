// What a shell completes besides commands and options: the names of components and repositories, wherever the form of an
// argument or an option says that one is meant.
import { Option, type Command as Commander } from 'commander';

/** Names that may stand where a form says `component` or `repository`. */
export interface CompletionNames {
  readonly components: readonly string[];
  readonly repositories: readonly string[];
}

/** `completion bash|zsh|fish` prints a script, which asks `complete` for each word. */
export async function addCompletion(program: Commander, names: CompletionNames): Promise<void> {
  const { default: complete } = await import('@bomb.sh/tab/commander');
  const root = complete(program, { completionCommandName: 'completion' });
  for (const [path, command] of commandsBelow(program, '')) {
    const known = path === '' ? root : root.commands.get(path);
    for (const argument of command.registeredArguments) {
      const handled = known?.arguments.get(argument.name());
      const values = wordsFor(argument.name(), names);
      if (handled !== undefined && values.length > 0) handled.handler = offering(values);
    }
    for (const { flags } of command.options) {
      const name = new Option(flags).long?.slice('--'.length) ?? '';
      const handled = known?.options.get(name);
      const values = wordsFor(flags, names);
      if (handled !== undefined && values.length > 0) handled.handler = offering(values);
    }
  }
}

function* commandsBelow(command: Commander, path: string): Generator<readonly [string, Commander]> {
  yield [path, command];
  for (const child of command.commands) {
    yield* commandsBelow(child, path === '' ? child.name() : `${path} ${child.name()}`);
  }
}

const snapshotWords = ['latest', 'latest-proven'];

/** `component|snapshot`, `component`, `--component <name>`, `--from <repository>`. */
export function wordsFor(form: string, { components, repositories }: CompletionNames): readonly string[] {
  return [
    ...(/\bcomponent\b/.test(form) ? components : []),
    ...(/--repository |<repository>/.test(form) ? repositories : []),
    ...(/\bsnapshot\b/.test(form) ? snapshotWords : []),
  ];
}

function offering(values: readonly string[]) {
  return (complete: (value: string, description: string) => void): void => {
    for (const value of values) complete(value, '');
  };
}
