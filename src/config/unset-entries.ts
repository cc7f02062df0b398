// Channels, contacts, probes, steps that fill caches and the OpenID provider whose references are not set here: backups must go on without them, so they are taken out, and told.
import type { ConfigurationDocument, Problem } from './document.ts';
import { childOf } from './schema-walk.ts';

/** Maps of entries that others can do without; the first that holds a place counts. */
const sections: readonly (readonly string[])[] = [
  ['alerts', 'channels'],
  ['alerts', 'contacts'],
  ['alerts'],
  ['probes'],
  ['warmUp'],
  ['service', 'api'],
];

export interface WithoutUnset {
  readonly document: ConfigurationDocument;
  /** What is not set, by the key of the entry: `alerts.channels.slack`. */
  readonly unset: ReadonlyMap<string, readonly Problem[]>;
}

export function withoutUnsetEntries(document: ConfigurationDocument): WithoutUnset {
  const unset = Map.groupBy(document.problems.filter(isOfEntry), ({ path }) => entryKey(path));
  if (unset.size === 0) return { document, unset };
  const problems = document.problems.filter((problem) => !isOfEntry(problem));
  const paths = [...unset.values()].flatMap(([first]) => (first === undefined ? [] : [entryPath(first.path)]));
  // It can't be used without.
  if (unset.has('service.api.publicUrl')) paths.push(['service', 'api', 'openid']);
  const data = paths.reduce<unknown>((rest, path) => without(rest, path), document.data);
  return { document: { ...document, data, problems }, unset };
}

function isOfEntry({ path, isUnset }: Problem): boolean {
  return isUnset === true && entryPath(path).length > 0;
}

function entryPath(path: Problem['path']): readonly string[] {
  const section = sections.find((keys) => path.length > keys.length && keys.every((key, at) => path[at] === key));
  return section === undefined ? [] : path.slice(0, section.length + 1).map(String);
}

function entryKey(path: Problem['path']): string {
  return entryPath(path).join('.');
}

/** The data with one entry left out; nothing else is changed. */
function without(data: unknown, [key, ...deeper]: readonly string[]): unknown {
  if (key === undefined || typeof data !== 'object' || data === null) return data;
  const { [key]: child, ...rest } = data as Record<string, unknown>;
  return deeper.length === 0 ? rest : { ...rest, [key]: without(childOf(data, key) ?? child, deeper) };
}
