// Patterns over paths with the meaning of restic's excludes, so that one list serves both tools: a pattern matches any run of whole path
// components, from the root if it begins with `/`; `*`, `?` and `[a-z]` stay inside a component, `**` spans several;
// the last pattern that matches decides, and `!` takes an exclusion back. Glob libraries differ in each of these.
import { posix } from 'node:path';
import { AppError } from './errors.ts';

/** Tells whether a pattern fits the entry at an absolute path, or a folder above it. */
export type PathTest = (path: string) => boolean;

export function pathPatterns(
  patterns: readonly string[],
  options: { readonly ignoreCase?: boolean | undefined } = {},
): PathTest {
  const flags = options.ignoreCase === true ? 'vi' : 'v';
  const rules: { readonly isNegated: boolean; readonly sources: string[] }[] = [];
  for (const pattern of patterns) {
    const isNegated = pattern.startsWith('!');
    const source = patternSource(isNegated ? pattern.slice(1) : pattern);
    const last = rules.at(-1);
    if (last?.isNegated === isNegated) last.sources.push(source);
    else rules.push({ isNegated, sources: [source] });
  }
  const compiled = rules.map(({ isNegated, sources }) => ({
    isNegated,
    expression: new RegExp(sources.join('|'), flags),
  }));
  return (path) => {
    let isOut = false;
    for (const { isNegated, expression } of compiled) {
      if (isOut === isNegated && expression.test(path)) isOut = !isNegated;
    }
    return isOut;
  };
}

/** A regular expression over paths that begin with `/`. */
function patternSource(pattern: string): string {
  if (pattern === '') throw invalid(pattern, 'it is empty');
  const clean = posix.normalize(pattern);
  const components = clean.split('/').filter((component) => component !== '');
  const run = components.map((component) =>
    component === '**' ? String.raw`(?:\/[^\/]+)*` : String.raw`\/` + componentSource(component, pattern),
  );
  return (clean.startsWith('/') ? '^' : '') + run.join('') + String.raw`(?:\/|$)`;
}

const special = /\*+|\?|\\(?<escaped>.?)|\[(?<negation>\^?)(?<members>(?:\\.|[^\\\]])+)\]|(?<other>.)/gsv;

function componentSource(component: string, pattern: string): string {
  return component.replace(special, (part, ...rest) => {
    const groups = rest.at(-1) as Record<string, string | undefined>;
    if (part.startsWith('*')) return String.raw`[^\/]*`;
    if (part === '?') return String.raw`[^\/]`;
    if (groups['members'] !== undefined) {
      return `[${groups['negation'] === '' ? '' : String.raw`^\/`}${membersSource(groups['members'], pattern)}]`;
    }
    const literal = groups['escaped'] ?? groups['other'];
    if (literal === undefined || literal === '') throw invalid(pattern, 'it ends in a backslash');
    if (part === '[') throw invalid(pattern, 'a bracket is not closed');
    return codePoint(literal);
  });
}

const member = /(?:\\(?<firstEscaped>.)|(?<first>[^\-]))(?:-(?:\\(?<lastEscaped>.)|(?<last>[^\-])))?/gsvy;

/** What stands between brackets: characters and ranges. */
function membersSource(members: string, pattern: string): string {
  const ranges: string[] = [];
  let length = 0;
  for (const found of members.matchAll(member)) {
    const first = found.groups?.['firstEscaped'] ?? found.groups?.['first'] ?? '';
    const last = found.groups?.['lastEscaped'] ?? found.groups?.['last'] ?? first;
    if (first > last) throw invalid(pattern, `the range ${first}-${last} runs backwards`);
    ranges.push(`${codePoint(first)}-${codePoint(last)}`);
    length += found[0].length;
  }
  if (length !== members.length) throw invalid(pattern, `'${members}' is no list of characters`);
  return ranges.join('');
}

function codePoint(character: string): string {
  return String.raw`\u{` + `${character.codePointAt(0)?.toString(16)}}`;
}

function invalid(pattern: string, reason: string): AppError {
  return new AppError('CONFIG_INVALID', `exclude pattern '${pattern}' is not valid: ${reason}`, {
    hint: 'Write it as restic does: names with *, ?, [a-z] or **, a backslash before a character meant literally.',
  });
}
