// The pages for people, held to what they name: links lead somewhere, files and symbols exist, commands take the flags
// shown, and the layers in ARCHITECTURE.md are those that scripts/tidy.ts enforces.
import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { commandTable, isGroup } from '../src/cli/command-table.ts';
import type { AnyCommand } from '../src/cli/command.ts';
import { errorKinds } from '../src/base/errors.ts';
import { globalOptions } from '../src/config/options.ts';

const root = join(import.meta.dirname, '..');
const pages = ['README.md', 'ARCHITECTURE.md', 'CONTRIBUTING.md', ...globSync('docs/**/*.md', { cwd: root })];
const textOf = (page: string): string => readFileSync(join(root, page), 'utf8');
const withoutCode = (text: string): string => text.replaceAll(/^```[\s\S]*?^```$/gm, '').replaceAll(/`[^`\n]*`/g, '');

/** As GitHub makes them from headings. */
function anchorsOf(page: string): string[] {
  return [...textOf(page).matchAll(/^#{1,6} (.+)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  );
}

test.each(pages)('every relative link of %s leads to a file and a heading that exist', (page) => {
  const problems: string[] = [];
  for (const [, link = ''] of withoutCode(textOf(page)).matchAll(/\]\(([^)\s]+)\)/g)) {
    if (/^https?:/.test(link)) continue;
    const [path = '', anchor] = link.split('#');
    const target = path === '' ? page : join(dirname(page), path);
    if (!existsSync(join(root, target))) problems.push(`${link}: no such file`);
    else if (anchor !== undefined && !anchorsOf(target).includes(anchor)) problems.push(`${link}: no such heading`);
  }
  expect(problems).toEqual([]);
});

test('every page of docs is reachable from its index or from the README', () => {
  const linked = ['docs/index.md', 'README.md'].flatMap((page) =>
    [...textOf(page).matchAll(/\]\(([^)#\s]+)/g)].map(([, link = '']) => join(dirname(page), link)),
  );
  expect(
    pages.filter((page) => page.startsWith('docs/') && page !== 'docs/index.md' && !linked.includes(page)),
  ).toEqual([]);
});

test.each(pages)('every file and symbol of the sources that %s names exists', (page) => {
  const problems: string[] = [];
  const named = textOf(page).matchAll(/\b((?:src|test|scripts|bench)\/[\w./-]*\w\/?)(?:#(\w+))?/g);
  for (const [whole, path = '', symbol] of named) {
    if (!existsSync(join(root, path))) problems.push(`${whole}: no such file`);
    else if (symbol !== undefined && !new RegExp(String.raw`\b${symbol}\b`).test(textOf(path)))
      problems.push(`${whole}: no such symbol`);
  }
  expect(problems).toEqual([]);
});

const families = /^(?:SOURCE|JOURNAL|SPOOL|RECOVERY|RESTORE|TARGET|REPOSITORY|STORE|OBJECT|PASSWORD|CONFIG|LOCK)_/;

test('the page on troubleshooting says of every error of sources, journals, repositories and restores what to do', () => {
  const [, table = ''] = textOf('docs/troubleshooting.md').split('## By error code');
  const named = [...table.matchAll(/`([A-Z_]+)(…?)`/g)].map(([, name = '', more]) => ({ name, isFamily: more !== '' }));
  const isThere = (code: string): boolean =>
    named.some(({ name, isFamily }) => (isFamily ? code.startsWith(name) : code === name));
  expect(Object.keys(errorKinds).filter((code) => families.test(code) && !isThere(code))).toEqual([]);
});

test('the layers in ARCHITECTURE.md are those that scripts/tidy.ts enforces', () => {
  const script = textOf('scripts/tidy.ts');
  const listOf = (text = ''): string[] => [...text.matchAll(/'(\w+)'/g)].map(([, name = '']) => name);
  const lower = listOf(/const lower = (\[.*?\]);/s.exec(script)?.[1]);
  const enforced = [...(/const layers[^{]*\{(.*?)\n\};/s.exec(script)?.[1] ?? '').matchAll(/^ {2}(\w+): (.+),$/gm)].map(
    ([, layer = '', allowed = '']) =>
      `${layer}: ${[...(allowed.includes('lower') ? lower : []), ...listOf(allowed)].join(', ') || '–'}`,
  );
  const section = textOf('ARCHITECTURE.md').split('## Layers')[1]?.split('\n## ')[0] ?? '';
  const documented = [...section.matchAll(/^\| (\w+) +\| .+? +\| (.+?) +\|$/gm)]
    .map(([, layer = '', allowed = '']) => `${layer}: ${allowed}`)
    .filter((row) => !row.startsWith('folder:'));
  expect(enforced.length).toBeGreaterThan(5);
  expect(documented).toEqual(enforced);
});

interface ShownCommand {
  readonly line: string;
  readonly words: readonly string[];
}

/** What stands at a prompt or alone in a block of commands, and in-line code that is a command. */
function shownCommands(text: string): ShownCommand[] {
  const blocks = [...text.matchAll(/^```(sh|console)\n([\s\S]*?)^```$/gm)].flatMap(([, kind, block = '']) =>
    block.split('\n').flatMap((line) => {
      const command = kind === 'console' ? /^\$ (.*)$/.exec(line)?.[1] : line;
      return command === undefined ? [] : command.split(/&&|\|/);
    }),
  );
  const inline = [...text.replaceAll(/^```[\s\S]*?^```$/gm, '').matchAll(/`([^`\n]+)`/g)].map(([, code = '']) => code);
  return [...blocks, ...inline].flatMap((line) => {
    const words = wordsOf(line);
    const at = words.findIndex((word) => !/^[A-Z_]+=/.test(word));
    return ['lifeboat', 'bin/lifeboat.js'].includes(words[at] ?? '') ? [{ line, words: words.slice(at + 1) }] : [];
  });
}

/** As a shell would split, up to a comment. */
function wordsOf(line: string): string[] {
  const words = [...line.matchAll(/'[^']*'|"[^"]*"|\S+/g)].map(([word]) => word);
  const comment = words.findIndex((word) => word.startsWith('#'));
  return comment === -1 ? words : words.slice(0, comment);
}

/** Made by the program itself, beside its table. */
const ownCommands = ['completion', '<command>'];

const flagsOf = (flag: string): string[] => [...flag.matchAll(/(?<![\w-])--?[a-z][\w-]*/g)].map(([name]) => name);
const globalFlags = [
  ...Object.values(globalOptions).flatMap((option) => ('flag' in option ? flagsOf(option.flag ?? '') : [])),
  '--help',
  '-h',
  '--version',
  '-V',
];

async function commandsByName(): Promise<ReadonlyMap<string, AnyCommand | undefined>> {
  const commands = new Map<string, AnyCommand | undefined>(ownCommands.map((name) => [name, undefined]));
  for (const entry of commandTable) {
    if (!isGroup(entry)) commands.set(entry.name, await entry.load());
    for (const inner of entry.commands ?? []) commands.set(`${entry.name} ${inner.name}`, await inner.load());
  }
  return commands;
}

function problemOf({ words }: ShownCommand, commands: ReadonlyMap<string, AnyCommand | undefined>): string | undefined {
  const flags = words.filter((word) => /^--?[a-z]/i.test(word)).map((word) => word.split('=')[0] ?? word);
  const plain = words.filter((word) => !word.startsWith('-'));
  if (plain.length === 0) return flags.every((flag) => globalFlags.includes(flag)) ? undefined : 'no such flag';
  const name = [plain.slice(0, 2).join(' '), plain[0] ?? ''].find((candidate) => commands.has(candidate));
  if (name === undefined) return 'no such command';
  const known = [
    ...globalFlags,
    ...Object.values(commands.get(name)?.options ?? {}).flatMap(({ flag }) => flagsOf(flag)),
  ];
  const unknown = flags.filter((flag) => !known.includes(flag));
  return unknown.length === 0 ? undefined : `${name} does not know ${unknown.join(', ')}`;
}

test.each(pages)('every command that %s shows is one of the program, with flags that it knows', async (page) => {
  const commands = await commandsByName();
  const problems = shownCommands(textOf(page)).flatMap((shown) => {
    const problem = problemOf(shown, commands);
    return problem === undefined ? [] : [`${shown.line}: ${problem}`];
  });
  expect(problems).toEqual([]);
});

test('the check of commands finds a command and a flag that do not exist', async () => {
  const commands = await commandsByName();
  const shown = shownCommands(
    '```sh\nA=1 lifeboat backpu # x\nlifeboat ls latest --wrong | head\n```\n`lifeboat ls --long`',
  );
  expect(shown.map((one) => problemOf(one, commands))).toEqual([
    'no such command',
    'ls does not know --wrong',
    undefined,
  ]);
});

test('every variable of ours that the program reads is in the pages, but for those that it sets itself, and one of the demonstration', () => {
  const sources = globSync('src/**/*.ts', { cwd: root }).filter((path) => !path.endsWith('.test.ts'));
  const read = sources.flatMap((path) => textOf(path).match(/'LIFEBOAT_[A-Z_]+'/g) ?? []);
  const ownWords = new Set(['LIFEBOAT_LAUNCHED', 'LIFEBOAT_TETHER_MS', 'LIFEBOAT_DEMO_SCALE']);
  const names = new Set(read.map((quoted) => quoted.slice(1, -1)).filter((name) => !ownWords.has(name)));
  const text = pages.map(textOf).join('\n');
  expect(names).toContain('LIFEBOAT_LEASE_MS');
  expect([...names].filter((name) => !text.includes(`\`${name}`))).toEqual([]);
});
