// What a file says of itself before anything is filled in: which template it extends, and the parameters that count before the
// variables of the environment.
import { isAlias, isMap, isScalar, type Document } from 'yaml';
import type { ParsedText } from './document.ts';
import { interpolate, namesIn, type InterpolationSources, type ReferenceFault } from './interpolation.ts';

interface Written {
  /** Undefined where it is no text, number or truth value. */
  readonly text: string | undefined;
  readonly offset: number;
}

/** What is no name may be a secret: `NAME:secret` without a space is one long key. It is not shown. */
export const isParameterName = (text: string): boolean => /^[A-Za-z_]\w*$/.test(text);

/** Of each parameter as it is written, references and all. */
export type WrittenParameters = ReadonlyMap<string, Written>;

export function parametersIn({ document }: ParsedText): WrittenParameters {
  const map = document === undefined ? undefined : resolved(document.get('parameters', true), document);
  const items = isMap(map) ? map.items : [];
  return new Map(items.map(({ key, value }) => [isScalar(key) ? String(key.value) : '', writtenAt(value, document)]));
}

/** As it is written; undefined where nothing is extended. */
export function extendsIn({ document }: ParsedText): Written | undefined {
  const node = document?.get('extends', true);
  return node === undefined ? undefined : writtenAt(node, document);
}

function writtenAt(node: unknown, document: Document | undefined): Written {
  const value = document === undefined ? node : resolved(node, document);
  if (!isScalar(value)) return { text: undefined, offset: 0 };
  const offset = value.range?.[0] ?? 0;
  if (typeof value.value === 'string') return { text: value.value, offset };
  const isPlain = typeof value.value === 'number' || typeof value.value === 'boolean';
  return { text: isPlain ? (value.source ?? String(value.value)) : undefined, offset };
}

function resolved(node: unknown, document: Document): unknown {
  return isAlias(node) ? node.resolve(document) : node;
}

/** Parameters of one file, and where they stand, for messages. */
export interface GivenParameters {
  readonly written: WrittenParameters;
  readonly placeOf: (offset: number) => string;
}

export interface ParameterLayers {
  /** Those of the file that is read. */
  readonly given: GivenParameters;
  /** Those of its template, which the given ones replace; their values may refer to the given ones. */
  readonly defaults?: GivenParameters | undefined;
  readonly environment: InterpolationSources;
}

/** A parameter hides the variable of its name, even where it has no value: that of another customer must never stand in for it. */
export function withParameters({ given, defaults, environment }: ParameterLayers): InterpolationSources {
  if (defaults === undefined && given.written.size === 0) return environment;
  const kinds = 'parameter or environment variable';
  const outer = { ...environment, kinds };
  const own = layered(given, environment, outer);
  return defaults === undefined ? own : layered(given, environment, layered(defaults, own, outer));
}

/** `values`: what they may refer to. `others`: where all other names are looked for. */
function layered(
  { written, placeOf }: GivenParameters,
  values: InterpolationSources,
  others: InterpolationSources,
): InterpolationSources {
  return {
    ...others,
    variable(name) {
      const parameter = written.get(name);
      if (parameter === undefined) return others.variable(name);
      if (parameter.text === undefined || parameter.text === '') return undefined;
      const filled = interpolate(parameter.text, values);
      if (filled.kind !== 'problem') return filled.value === '' ? undefined : filled.value;
      const { found, expected, isUnset } = filled;
      const place = placeOf(parameter.offset);
      return { found: `\${${name}}, given at ${place} as ${found}`, expected, isUnset } satisfies ReferenceFault;
    },
  };
}

/** Names that the values themselves refer to. */
export function namesInParameters({ written }: GivenParameters): string[] {
  return [...written.values()].flatMap(({ text }) => (text === undefined ? [] : namesIn(text)));
}
