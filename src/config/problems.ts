// From the validator's issues to messages for people: where, what was found, what is expected, what was meant.
import type { z } from 'zod';
import type { ConfigurationDocument, Problem } from './document.ts';
import { nearestOf } from './nearest.ts';
import type { SchemaNode } from './schema.ts';
import {
  childOf,
  isSecretAt,
  keysAt,
  secretNames,
  listOf,
  nodesAt,
  wordsFor,
  type DocumentPath,
} from './schema-walk.ts';

type Issue = z.core.$ZodIssue;

/** What the messages are made from. */
export interface ProblemContext {
  readonly document: ConfigurationDocument;
  readonly schema: SchemaNode;
}

export function problemsOf(issues: readonly Issue[], context: ProblemContext): Problem[] {
  const problems = issues.flatMap((issue) => expandUnion(issue, [])).flatMap((issue) => describe(issue, context));
  const meant = new Set(problems.flatMap(({ meantPath }) => meantPath ?? []));
  // A key that is missing only because it was mistyped is said once, at the mistyped one.
  const needed = problems.filter(({ missingPath }) => missingPath === undefined || !meant.has(missingPath));
  return [...new Map(needed.map((problem) => [JSON.stringify([problem.position, problem.text]), problem])).values()];
}

interface DescribedProblem extends Problem {
  readonly missingPath?: string;
  readonly meantPath?: string;
}

function valueAt(document: ConfigurationDocument, path: DocumentPath): unknown {
  return path.reduce(childOf, document.data);
}

function pathOf(issue: { readonly path: readonly PropertyKey[] }): (string | number)[] {
  return issue.path.map((part) => (typeof part === 'number' ? part : String(part)));
}

/** An issue of a union becomes those of the alternative that was most likely meant; paths become whole. */
function expandUnion(issue: Issue, base: DocumentPath): Issue[] {
  const path = [...base, ...pathOf(issue)];
  const whole = { ...issue, path };
  if (issue.code !== 'invalid_union' || issue.errors.length === 0) return [whole];
  const branches = issue.errors.map((errors) => errors.flatMap((error) => expandUnion(error, path)));
  const fitting = branches.filter((errors) => !errors.some((error) => isOfOtherType(error, path.length)));
  const fewest = Math.min(...fitting.map(weightOf));
  const best = fitting.filter((errors) => weightOf(errors) === fewest);
  const [only = [], ...others] = best;
  if (best.length > 0 && others.length === 0) return only;
  const unknownKeys = only.filter(({ code }) => code === 'unrecognized_keys');
  return unknownKeys.length > 0 ? unknownKeys : [whole];
}

/** About the value as a whole: it is of another type than this alternative, or than all of its alternatives. */
function isOfOtherType(issue: Issue, depth: number): boolean {
  if (issue.path.length !== depth) return false;
  if (issue.code !== 'invalid_union') return issue.code === 'invalid_type';
  return issue.errors.length > 0 && issue.errors.every((errors) => errors.some((error) => isOfOtherType(error, 0)));
}

function weightOf(issues: readonly Issue[]): number {
  return issues.reduce((sum, issue) => sum + (issue.code === 'unrecognized_keys' ? 2 * issue.keys.length : 1), 0);
}

function describe(issue: Issue, context: ProblemContext): DescribedProblem[] {
  const path = pathOf(issue);
  if (issue.code === 'unrecognized_keys') return issue.keys.map((key) => unknownKey(key, path, context));
  const value = valueAt(context.document, path);
  if (value === undefined && (issue.code === 'invalid_type' || issue.code === 'invalid_union')) {
    return [missingKey(path, context)];
  }
  if (issue.code === 'invalid_key') {
    const name = String(path.at(-1));
    const text = `found the name '${shortened(name)}', expected ${expectedOf(issue.issues[0], [])}`;
    return [{ path, position: context.document.positionOf(path, 'key'), text }];
  }
  return [wrongValue(issue, path, { value, context })];
}

function wrongValue(
  issue: Issue,
  path: DocumentPath,
  { value, context }: { readonly value: unknown; readonly context: ProblemContext },
): Problem {
  const nodes = nodesAt(context.schema, context.document.data, path);
  const found = foundAt(path, value, context);
  const suggestion = found.isShown && typeof value === 'string' ? nearestOf(value, valuesOf(issue, nodes)) : undefined;
  const hint = suggestion === undefined || suggestion === value ? '' : `; did you mean '${suggestion}'?`;
  return {
    path,
    position: context.document.positionOf(path, 'value'),
    text: `found ${found.words}, expected ${expectedOf(issue, nodes)}${hint}`,
  };
}

function unknownKey(key: string, parent: DocumentPath, context: ProblemContext): DescribedProblem {
  const path = [...parent, key];
  const position = context.document.positionOf(path, 'key');
  // `password:secret` without a space is one long key, `password, secret` two: only what reads as a key is shown.
  const front = /^[A-Za-z][\w-]*/.exec(key)?.[0] ?? '';
  if (key.startsWith(`${front}:`)) {
    return { path: parent, position, text: `found the key '${shortened(front)}:…', expected a space after the colon` };
  }
  const known = keysAt(context.schema, context.document.data, parent);
  const nearest = nearestOf(key, known);
  const expected = nearest === undefined ? `, expected ${listOf(known)}` : `; did you mean '${nearest}'?`;
  const meantPath = nearest === undefined ? {} : { meantPath: JSON.stringify([...parent, nearest]) };
  const isShown = nearest !== undefined || (front === key && valueAt(context.document, path) !== undefined);
  const name = isShown ? `unknown key '${shortened(key)}'` : 'unknown key (not shown: it has no value)';
  return { path: parent, position, text: `${name}${expected}`, ...meantPath };
}

function missingKey(path: DocumentPath, { document, schema }: ProblemContext): DescribedProblem {
  const parent = path.slice(0, -1);
  const node = nodesAt(schema, document.data, path);
  const known = keysAt(schema, document.data, parent);
  const given = Object.keys(valueAt(document, parent) ?? {}).filter((name) => !known.includes(name));
  const mistyped = nearestOf(String(path.at(-1)), given);
  if (mistyped !== undefined) return unknownKey(mistyped, parent, { document, schema });
  const key = path.length === 0 ? 'the file is empty' : `missing key '${String(path.at(-1))}'`;
  return {
    path: parent,
    position: document.positionOf(path, 'key'),
    text: `${key}, expected ${wordsFor(node)}`,
    missingPath: JSON.stringify(path),
  };
}

function foundAt(
  path: DocumentPath,
  value: unknown,
  { document, schema }: ProblemContext,
): { readonly words: string; readonly isShown: boolean } {
  const isHidden =
    mayBeSecret(path, schema, document.data) || document.isOverSeveralLines(path) || hasCredentials(value);
  if (isHidden) return { words: `${kindOf(value)}${typeof value === 'object' ? '' : ' (not shown)'}`, isShown: false };
  const key = JSON.stringify(path);
  const filled = document.filled.find((scalar) => JSON.stringify(scalar.path) === key);
  if (filled !== undefined) return { words: `the value of ${filled.references} (not shown)`, isShown: false };
  if (typeof value === 'string') return { words: `'${shortened(value)}'`, isShown: true };
  const isPlain = typeof value === 'number' || typeof value === 'boolean';
  return { words: isPlain ? String(value) : kindOf(value), isShown: true };
}

/** A secret in its place, or out of place by a wrong indentation: then its key, or one of its parents, tells. */
function mayBeSecret(path: DocumentPath, schema: SchemaNode, data: unknown): boolean {
  if (isSecretAt(schema, data, path)) return true;
  const names = secretNames(schema);
  return path.some((part) => typeof part === 'string' && nearestOf(part, names) !== undefined);
}

/** `scheme://user:password@host` says too much wherever it stands. */
function hasCredentials(value: unknown): boolean {
  return typeof value === 'string' && /:\/\/[^/]*@/.test(value);
}

function kindOf(value: unknown): string {
  if (value === undefined || value === null) return 'nothing';
  if (Array.isArray(value)) return value.length === 0 ? 'an empty list' : 'a list';
  if (typeof value === 'object') return 'a map of keys';
  return typeof value === 'string' ? 'text' : `a ${typeof value}`;
}

/** What people read is one line of bounded length, whatever stands in the file. */
export function shortened(text: string): string {
  // oxlint-disable-next-line no-control-regex -- control characters are what must not reach a terminal
  const line = text.replaceAll(/[\u0000-\u001f\u007f-\u009f]+/g, ' ');
  return line.length > 60 ? `${line.slice(0, 60)}…` : line;
}

function valuesOf(issue: Issue, nodes: readonly SchemaNode[]): string[] {
  if (issue.code === 'invalid_union' && 'options' in issue) return (issue.options as unknown[]).map(String);
  return nodes.flatMap((node) => node.enum ?? (node.const === undefined ? [] : [node.const])).map(String);
}

function expectedOf(issue: Issue | undefined, nodes: readonly SchemaNode[]): string {
  if (issue === undefined) return wordsFor(nodes);
  // Messages of our own schemas begin this way; those of the validator do not.
  if (issue.message.startsWith('expected ')) return issue.message.slice('expected '.length);
  const values = valuesOf(issue, []);
  if (values.length > 0) return listOf(values.map((value) => `'${value}'`));
  const words = wordsFor(nodes);
  if (issue.code === 'too_small' && issue.origin === 'array') return `${words} with at least ${issue.minimum}`;
  if (issue.code === 'too_small' && issue.origin === 'string') return `${words} that is not empty`;
  if (issue.code === 'too_small' && !words.includes('from')) return `${words}, ${issue.minimum} or more`;
  if (issue.code === 'too_big' && !words.includes('from')) return `${words}, ${issue.maximum} or less`;
  if (issue.code === 'invalid_type' && issue.expected === 'string') return `${words}; put it in quotes`;
  return words;
}
