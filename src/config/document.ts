// lifeboat.yaml as data: parsed, references filled in, and every value's line and column kept for messages.
import {
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  parseDocument,
  type Document,
  type Node,
  type Scalar,
} from 'yaml';
import { interpolate, namesIn, type InterpolationSources } from './interpolation.ts';
import type { DocumentPath } from './schema-walk.ts';

interface Position {
  readonly line: number;
  readonly column: number;
  /** Absent in the file that was named. */
  readonly file?: string | undefined;
}

/** Something that is wrong at one place; `text` carries no secret. */
export interface Problem {
  readonly path: DocumentPath;
  /** Absent where the problem is not in the file. */
  readonly position: Position | undefined;
  readonly text: string;
  /** What a reference names is not there; the file itself may be right. */
  readonly isUnset?: boolean | undefined;
}

/** A scalar that references were filled into. */
interface FilledScalar {
  readonly path: DocumentPath;
  /** `${NAME}` and the like, as written, without fallbacks. */
  readonly references: string;
  readonly replace: (value: unknown) => void;
}

export interface ConfigurationDocument {
  readonly data: unknown;
  /** Faults of syntax and of references. */
  readonly problems: readonly Problem[];
  readonly filled: readonly FilledScalar[];
  /** Names of all that `${NAME}` stands for in it, found or not. */
  readonly names: ReadonlySet<string>;
  /** Where `null` is written out: laid over another document it takes away what stands there. */
  readonly nulls: readonly DocumentPath[];
  /** Whether a value runs over several lines: it may have swallowed keys and secrets by a quote that was forgotten. */
  isOverSeveralLines(path: DocumentPath): boolean;
  /** Where a value, or its key, begins; of the nearest ancestor if the path is not in the file. */
  positionOf(path: DocumentPath, of: 'key' | 'value'): Position;
}

/** More than any configuration needs; an alias in an alias in an alias grows beyond it. */
const nodesMax = 20_000;
const depthMax = 50;
/** What follows the first fault of syntax is mostly its echo. */
const faultsMax = 3;

/** A text as YAML, before its references are filled in. */
export interface ParsedText {
  /** Absent where it is nested too deep to be read. */
  readonly document: Document | undefined;
  readonly positionAt: (offset: number) => Position;
}

/** `file` is how messages call it, if it is not the one that was named. */
export function parseText(text: string, file?: string): ParsedText {
  const lines = new LineCounter();
  const positionAt = (offset: number): Position => {
    const { line, col } = lines.linePos(offset);
    return { line: Math.max(1, line), column: Math.max(1, col), ...(file !== undefined && { file }) };
  };
  if (isNestedTooDeep(text)) return { document: undefined, positionAt };
  const document = parseDocument(text, {
    lineCounter: lines,
    prettyErrors: false,
    uniqueKeys: true,
    logLevel: 'silent',
  });
  return { document, positionAt };
}

export function readDocument(
  { document, positionAt }: ParsedText,
  sources: InterpolationSources,
): ConfigurationDocument {
  if (document === undefined) {
    const problem = { path: [], position: positionAt(0), text: `nested deeper than ${depthMax} levels` };
    return {
      data: undefined,
      problems: [problem],
      filled: [],
      names: new Set(),
      nulls: [],
      isOverSeveralLines: () => false,
      positionOf: () => problem.position,
    };
  }
  const walk = new Walk(document, sources, positionAt);
  // Several at one place are one fault in several words.
  const byPlace = new Map(
    [...document.errors, ...document.warnings].toReversed().map((fault) => [fault.pos[0], fault]),
  );
  const faults = [...byPlace.values()]
    .toReversed()
    .slice(0, faultsMax)
    .map(({ code, pos }) => ({
      path: [],
      position: positionAt(pos[0]),
      text: syntaxFaults[code] ?? 'not valid YAML',
    }));
  const data = faults.length === 0 && document.contents !== null ? walk.valueOf(document.contents, []) : undefined;
  return {
    data,
    problems: [...faults, ...walk.problems],
    filled: walk.filled,
    names: walk.names,
    nulls: walk.nulls,
    isOverSeveralLines: (path) => {
      const offsets = walk.offsets.get(JSON.stringify(path));
      return offsets !== undefined && positionAt(offsets.value).line !== positionAt(offsets.end).line;
    },
    positionOf: (path, of) => positionAt(walk.offsetOf(path, of)),
  };
}

/** The parser recurses; flow collections nested by the thousand would exhaust its stack. */
function isNestedTooDeep(text: string): boolean {
  let depth = 0;
  for (const character of text) {
    if (character === '[' || character === '{') depth += 1;
    else if ((character === ']' || character === '}') && depth > 0) depth -= 1;
    if (depth > 10 * depthMax) return true;
  }
  return text.split('\n').some((line) => /^\s*(?:- *){50}/.test(line) || /^ {500}/.test(line));
}

class Walk {
  readonly problems: Problem[] = [];
  readonly filled: FilledScalar[] = [];
  readonly names = new Set<string>();
  readonly nulls: DocumentPath[] = [];
  readonly #document: Document;
  readonly #sources: InterpolationSources;
  readonly #positionAt: (offset: number) => Position;
  readonly offsets = new Map<string, { readonly key: number; readonly value: number; readonly end: number }>();
  #nodes = 0;

  constructor(document: Document, sources: InterpolationSources, positionAt: (offset: number) => Position) {
    this.#document = document;
    this.#sources = sources;
    this.#positionAt = positionAt;
  }

  /** The plain value of a node. Keys without a value are absent, so that a section may be commented out. */
  valueOf(node: Node, path: DocumentPath, keyOffset = node.range?.[0] ?? 0): unknown {
    const offset = node.range?.[0] ?? keyOffset;
    this.offsets.set(JSON.stringify(path), { key: keyOffset, value: offset, end: node.range?.[1] ?? offset });
    if (this.#isTooLarge(path, offset)) return undefined;
    if (isAlias(node)) {
      const target = node.resolve(this.#document);
      return target === undefined ? undefined : this.valueOf(target, path, offset);
    }
    if (isMap(node)) return this.#mapOf(node, path);
    if (isSeq(node)) return node.items.map((item, index) => this.valueOf(item as Node, [...path, index]));
    return isScalar(node) ? this.#scalarOf(node, path) : undefined;
  }

  #scalarOf(node: Scalar, path: DocumentPath): unknown {
    // A key with nothing behind it is one whose value was commented out.
    if (node.value === null && node.source !== '' && !isOfParameters(path)) this.nulls.push(path);
    return scalarOf(node, path);
  }

  /** Counts a node; the first one beyond the limits becomes a problem. */
  #isTooLarge(path: DocumentPath, offset: number): boolean {
    this.#nodes += 1;
    if (this.#nodes <= nodesMax && path.length <= depthMax) return false;
    if (!this.problems.some(({ text }) => text === tooLarge)) this.#add(path, offset, tooLarge);
    return true;
  }

  #mapOf(map: { readonly items: readonly { readonly key: unknown; readonly value: unknown }[] }, path: DocumentPath) {
    const result: Record<string, unknown> = Object.create(null) as Record<string, unknown>;
    for (const { key, value } of map.items) {
      const name = isScalar(key) ? String(key.value) : '';
      const childPath = [...path, name];
      const keyOffset = (key as Node | null)?.range?.[0] ?? 0;
      result[name] = value === null ? undefined : this.valueOf(value as Node, childPath, keyOffset);
      if (value === null)
        this.offsets.set(JSON.stringify(childPath), { key: keyOffset, value: keyOffset, end: keyOffset });
    }
    for (const name of Object.keys(result)) {
      const set = (value: unknown) => (result[name] = value);
      this.#fill(result[name], [...path, name], set);
    }
    return result;
  }

  #fill(value: unknown, path: DocumentPath, replace: (value: unknown) => void): void {
    if (isOfParameters(path)) return;
    if (Array.isArray(value)) {
      value.forEach((item, index) => this.#fill(item, [...path, index], (other) => (value[index] = other)));
      return;
    }
    if (typeof value !== 'string') return;
    const result = interpolate(value, this.#sources);
    if (result.kind === 'literal') return;
    for (const name of namesIn(value)) this.names.add(name);
    const references = [...value.matchAll(/\$\{(?:file:[^}]*|\w+)/g)].map(([text]) => `${text}}`).join(' and ');
    if (result.kind === 'problem') {
      const position = this.#positionAt(this.offsetOf(path, 'value'));
      const text = `found ${result.found}, expected ${result.expected}`;
      this.problems.push({ path, position, text, isUnset: result.isUnset });
      replace(undefined);
      return;
    }
    replace(result.value);
    this.filled.push({ path, references, replace });
  }

  #add(path: DocumentPath, offset: number, text: string): void {
    this.problems.push({ path, position: this.#positionAt(offset), text });
  }

  offsetOf(path: DocumentPath, of: 'key' | 'value'): number {
    for (let length = path.length; length >= 0; length -= 1) {
      const offsets = this.offsets.get(JSON.stringify(path.slice(0, length)));
      if (offsets !== undefined) return length < path.length ? offsets.key : offsets[of];
    }
    return 0;
  }
}

/** A parameter is text as it is written: 0815 and 1.10 are what was meant. */
function scalarOf({ value, source }: Scalar, path: DocumentPath): unknown {
  const isWritten = typeof value === 'number' || typeof value === 'boolean';
  return path[0] === 'parameters' && isWritten ? (source ?? String(value)) : (value ?? undefined);
}

/** They say what stands elsewhere, and are filled in there. */
const isOfParameters = ([key]: DocumentPath): boolean => key === 'extends' || key === 'parameters';

const tooLarge = `found more than ${nodesMax} values or ${depthMax} levels, expected a smaller file`;

/** Our own words: those of the parser quote the file, and so its secrets. */
const syntaxFaults: Readonly<Record<string, string>> = {
  ALIAS_PROPS: 'an alias (*name) has an anchor or a tag of its own',
  BAD_ALIAS: 'found an alias (*name), expected the name of an anchor; put text that begins with * or & in quotes',
  BAD_DIRECTIVE: 'found a line that begins with %, expected keys; put text that begins with % in quotes',
  BAD_DQ_ESCAPE: "found an unknown escape in double quotes, expected '\\\\' for a backslash; single quotes need none",
  BAD_INDENT: 'found another indentation than that of the lines around it',
  BAD_SCALAR_START: 'found text that begins with @ or `, expected it in quotes',
  BLOCK_AS_IMPLICIT_KEY: "found a second ': ' in the line, expected text that holds ': ' in quotes",
  BLOCK_IN_FLOW: 'found indented keys inside [ ] or { }',
  DUPLICATE_KEY: 'found a key for the second time, expected each key once',
  MISSING_CHAR: "found no ':' or closing character where one is due; quotes and brackets need their end",
  MULTILINE_IMPLICIT_KEY: "found a key over several lines, expected 'key: value'; is a space missing after the colon?",
  MULTIPLE_ANCHORS: 'found two anchors at one value',
  MULTIPLE_DOCS: "found a second document after '---', expected one",
  MULTIPLE_TAGS: 'found two tags at one value',
  TAB_AS_INDENT: 'found a tab, expected spaces for indentation',
  TAG_RESOLVE_FAILED: 'found a tag (!name), which means nothing here; put text that begins with ! in quotes',
  UNEXPECTED_TOKEN:
    'found text where none is expected; put text with special characters, and ${…} inside { } or [ ], in quotes',
};
