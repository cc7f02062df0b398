// A document laid over another: maps key by key, everything else whole. Every value keeps the place where it is written.
import type { ConfigurationDocument } from './document.ts';
import { childOf, type DocumentPath } from './schema-walk.ts';

type Data = Record<string | number, unknown>;

/** `upper` counts where both say something; its `null` takes away what `lower` says. What it says with a fault counts too: the value below was not meant. */
export function overlaid(lower: ConfigurationDocument, upper: ConfigurationDocument): ConfigurationDocument {
  const faulty = new Set(upper.problems.map(({ path }) => JSON.stringify(path)));
  const removed = new Set(upper.nulls.map((path) => JSON.stringify(path)));
  const says = (value: unknown, path: DocumentPath): boolean => {
    if (value !== undefined) return true;
    const place = JSON.stringify(path);
    return faulty.has(place) || removed.has(place);
  };

  function merged(below: unknown, above: unknown, path: DocumentPath): unknown {
    if (!says(above, path)) return below;
    if (!isMap(below) || !isMap(above)) return above;
    const result: Data = Object.assign(Object.create(null) as Data, below);
    for (const [key, value] of Object.entries(above)) {
      const place = [...path, key];
      if (removed.has(JSON.stringify(place))) delete result[key];
      else result[key] = merged(childOf(below, key), value, place);
    }
    return result;
  }

  /** Whose word counts at a place; of both, where both have a map there. */
  function sideOf(path: DocumentPath): 'lower' | 'upper' | 'both' {
    let [below, above]: unknown[] = [lower.data, upper.data];
    for (let depth = 0; ; depth += 1) {
      if (!says(above, path.slice(0, depth))) return 'lower';
      if (!isMap(below) || !isMap(above)) return 'upper';
      const key = path[depth];
      if (key === undefined) return 'both';
      [below, above] = [childOf(below, key), childOf(above, key)];
    }
  }

  const documentAt = (path: DocumentPath): ConfigurationDocument => (sideOf(path) === 'lower' ? lower : upper);
  const counts = ({ path }: { readonly path: DocumentPath }): boolean => path.length === 0 || sideOf(path) === 'lower';
  const data = merged(lower.data, upper.data, []);
  return {
    data,
    problems: [...upper.problems, ...lower.problems.filter(counts)],
    filled: [...upper.filled, ...lower.filled.filter(counts)].map((scalar) => ({
      ...scalar,
      replace: (value: unknown) => replaceAt(data, scalar.path, value),
    })),
    names: new Set([...lower.names, ...upper.names]),
    nulls: [],
    isOverSeveralLines: (path) => documentAt(path).isOverSeveralLines(path),
    positionOf: (path, of) => documentAt(path).positionOf(path, of),
  };
}

function isMap(value: unknown): value is Data {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function replaceAt(data: unknown, path: DocumentPath, value: unknown): void {
  const key = path.at(-1);
  const parent = path.slice(0, -1).reduce(childOf, data);
  if (key !== undefined && typeof parent === 'object' && parent !== null) (parent as Data)[key] = value;
}
