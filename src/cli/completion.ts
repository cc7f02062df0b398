// What a shell completes besides commands and options: the names of components and repositories, wherever the form of an
// argument or an option says that one is meant.
import { Option, type Command as Commander } from 'commander';

/** Names that may stand where a form says `component` or `repository`. */
export interface CompletionNames {
  readonly components: readonly string[];
  readonly repositories: readonly string[];
}

/** `completion bash|zsh|fish` prints a script, which asks `complete` for each word. */
export async function addCompletion(
  program: Commander,
  names: CompletionNames,
  stdout: Pick<NodeJS.WritableStream, 'write'>,
): Promise<void> {
  const { default: complete } = await import('@bomb.sh/tab/commander');
  const root = complete(program, { completionCommandName: 'completion' });
  program.hook('preAction', (_, action) => {
    if (action.name() === 'completion' && action.args[0] === 'bash') stdout.write(wordsInPlainBash);
  });
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

/** The script takes this function from the bash-completion package. bash breaks words at `=` and `:`, which are ours. */
const wordsInPlainBash = `# For a bash without the bash-completion package
if ! declare -F _get_comp_words_by_ref >/dev/null; then
    _get_comp_words_by_ref() {
        local at last=0
        words=("\${COMP_WORDS[0]}")
        cword=0
        for ((at = 1; at < \${#COMP_WORDS[@]}; at++)); do
            if [[ last -gt 0 && ( "\${COMP_WORDS[at]}" == [=:]* || "\${words[last]}" == *[=:] ) ]]; then
                words[last]+="\${COMP_WORDS[at]}"
            else
                last=$((last + 1))
                words[last]="\${COMP_WORDS[at]}"
            fi
            [[ at -eq COMP_CWORD ]] && cword=$last
        done
        cur="\${words[cword]}"
        prev=""
        [[ cword -gt 0 ]] && prev="\${words[cword - 1]}"
        return 0
    }
fi
`;

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
