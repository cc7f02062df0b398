// What may stand at a place of lifeboat.yaml, asked of its JSON Schema: for messages, suggestions and secrets.
import type { SchemaNode } from './schema.ts';

export type DocumentPath = readonly (string | number)[];

/** All that may stand at `path`; several nodes where the schema leaves a choice that `data` does not decide. */
export function nodesAt(root: SchemaNode, data: unknown, path: DocumentPath): SchemaNode[] {
  let nodes = choicesOf(root, data);
  let value = data;
  for (const key of path) {
    value = childOf(value, key);
    nodes = nodes.flatMap((node) => childNode(node, key) ?? []).flatMap((node) => choicesOf(node, value));
  }
  return nodes;
}

/** A node with its alternatives unfolded. A `type` key in the data leaves only the alternative of that type. */
function choicesOf(node: SchemaNode, data: unknown): SchemaNode[] {
  const choices = node.anyOf ?? node.oneOf;
  if (choices === undefined) return [node];
  const type = childOf(data, 'type');
  const chosen = choices.filter((choice) => type !== undefined && choice.properties?.['type']?.const === type);
  const { title, writeOnly } = node;
  return (chosen.length > 0 ? chosen : choices)
    .flatMap((choice) => choicesOf(choice, data))
    .map((choice) => ({ ...choice, ...(title && { title }), ...(writeOnly && { writeOnly }) }));
}

function childNode(node: SchemaNode, key: string | number): SchemaNode | undefined {
  if (typeof key === 'number') return node.items;
  const own = node.properties;
  if (own !== undefined && Object.hasOwn(own, key)) return own[key];
  return typeof node.additionalProperties === 'object' ? node.additionalProperties : undefined;
}

export function childOf(value: unknown, key: string | number): unknown {
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return undefined;
  return (value as Record<string | number, unknown>)[key];
}

/** Names of the keys that may stand in the map at `path`. */
export function keysAt(root: SchemaNode, data: unknown, path: DocumentPath): string[] {
  return [...new Set(nodesAt(root, data, path).flatMap((node) => Object.keys(node.properties ?? {})))];
}

export function isSecretAt(root: SchemaNode, data: unknown, path: DocumentPath): boolean {
  return nodesAt(root, data, path).some((node) => node.writeOnly === true);
}

/** Names of all keys whose values are secrets, wherever they stand. */
export function secretNames(node: SchemaNode): string[] {
  const own = Object.entries(node.properties ?? {}).flatMap(([name, child]) => [
    ...(child.writeOnly === true ? [name] : []),
    ...secretNames(child),
  ]);
  const rest = typeof node.additionalProperties === 'object' ? [node.additionalProperties] : [];
  const others = [...rest, ...(node.items ? [node.items] : []), ...(node.anyOf ?? []), ...(node.oneOf ?? [])];
  return [...new Set([...own, ...others.flatMap(secretNames)])];
}

/** `'P0', 'P1' or 'P2'`. */
export function listOf(words: readonly string[]): string {
  return words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} or ${words.at(-1)}`;
}

/** What is expected at a place, in words. */
export function wordsFor(nodes: readonly SchemaNode[]): string {
  return listOf([...new Set(nodes.map(wordsForOne))]);
}

function wordsForOne(node: SchemaNode): string {
  if (node.title !== undefined) return node.title;
  if (node.const !== undefined) return `'${String(node.const)}'`;
  if (node.enum !== undefined) return listOf(node.enum.map((value) => `'${String(value)}'`));
  return listOf([node.type ?? 'value'].flat().map((type) => typeWords[type] ?? `a ${type}`));
}

const typeWords: Readonly<Record<string, string>> = {
  string: 'text',
  integer: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
  object: 'a map of keys',
};
