// How help reads: what a command does, how it is called, examples, and only then its options; those that every command
// has come last.
import type { Command, Help, Option } from 'commander';

export const globalHeading = 'Options of every command:';

interface Item {
  readonly term: string;
  readonly text: string;
}

/** Sections in the order of use. `examples` by command, since the parser knows none. */
export function formatHelp(command: Command, helper: Help, examples: readonly string[]): string {
  const options = helper.visibleOptions(command);
  const isGlobal = ({ helpGroupHeading }: Option): boolean => helpGroupHeading === globalHeading;
  const describe = (option: Option): Item => ({
    term: helper.optionTerm(option),
    text: helper.optionDescription(option),
  });
  const sections: { readonly title: string; readonly items: readonly Item[] }[] = [
    {
      title: 'Commands:',
      items: helper
        .visibleCommands(command)
        .map((each) => ({ term: each.name(), text: helper.subcommandDescription(each) })),
    },
    {
      title: 'Arguments:',
      items: helper
        .visibleArguments(command)
        .map((each) => ({ term: helper.argumentTerm(each), text: helper.argumentDescription(each) })),
    },
    { title: 'Options:', items: options.filter((option) => !isGlobal(option)).map(describe) },
    { title: globalHeading, items: options.filter(isGlobal).map(describe) },
  ];
  const termWidth = Math.max(...sections.flatMap(({ items }) => items.map(({ term }) => term.length)));
  const width = helper.helpWidth ?? 80;
  const parts = [`Usage: ${helper.commandUsage(command)}`, helper.boxWrap(helper.commandDescription(command), width)];
  if (examples.length > 0) parts.push(['Examples:', ...examples.map((line) => `  ${line}`)].join('\n'));
  for (const { title, items } of sections) {
    if (items.length === 0) continue;
    const lines = items.map(({ term, text }) => helper.formatItem(term, termWidth, text, helper));
    parts.push([title, ...lines].join('\n'));
  }
  return `${parts.join('\n\n')}\n`;
}
