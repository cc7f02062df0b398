// A file together with the template that it extends: read as one document, in which every value keeps the file and the line where it
// is written. What the file says is laid over what the template says.
import { dirname, isAbsolute, resolve } from 'node:path';
import { parseText, readDocument, type ConfigurationDocument, type ParsedText, type Problem } from './document.ts';
import type { InterpolationSources } from './interpolation.ts';
import { nearestOf } from './nearest.ts';
import { overlaid } from './overlay.ts';
import {
  extendsIn,
  isParameterName,
  namesInParameters,
  parametersIn,
  withParameters,
  type GivenParameters,
} from './parameters.ts';
import { shortened } from './problems.ts';
import { childOf, listOf, type DocumentPath } from './schema-walk.ts';

/** A file that others extend, as it was read. */
export interface TemplateText {
  readonly path: string;
  readonly text: string;
}

export interface ExtendedDocument {
  readonly document: ConfigurationDocument;
  readonly template: TemplateText | undefined;
}

export interface ExtendedOrigin {
  /** Absent for what the environment variables say. */
  readonly path: string | undefined;
  readonly environment: InterpolationSources;
  /** For messages. */
  readonly nameOf: (path: string) => string;
  readonly read: (path: string) => { readonly text: string } | { readonly problem: string };
}

export function readExtended(text: string, origin: ExtendedOrigin): ExtendedDocument {
  const { path, environment, nameOf } = origin;
  const parsed = parseText(text);
  const given = givenIn(parsed, path === undefined ? '' : nameOf(path));
  const place = templatePlace(parsed, path);
  if (place === undefined) {
    const alone = readDocument(parsed, withParameters({ given, environment }));
    return { document: { ...alone, problems: [...alone.problems, ...badNames(alone, given)] }, template: undefined };
  }
  const own = readDocument(parsed, environment);
  const refused = (problem: string): ExtendedDocument => {
    const at = { path: ['extends'], position: own.positionOf(['extends'], 'value'), text: problem };
    return { document: { ...own, data: undefined, problems: [at] }, template: undefined };
  };
  if ('problem' in place) return refused(place.problem);
  const content = origin.read(place.path);
  if ('problem' in content)
    return refused(`found ${shortened(nameOf(place.path))}, ${content.problem}, expected a file that can be read`);
  const template = { path: place.path, text: content.text };
  return { document: together(parsed, { origin, given, template }), template };
}

/** Where the template of a file lies; undefined where it extends none, or says so in a way that can't be followed. */
export function templateOf(text: string, path: string): string | undefined {
  // Spares most files a second look.
  if (!text.includes('extends')) return undefined;
  const place = templatePlace(parseText(text), path);
  return place === undefined || 'problem' in place ? undefined : place.path;
}

function templatePlace(
  parsed: ParsedText,
  path: string | undefined,
): { readonly path: string } | { readonly problem: string } | undefined {
  const { text } = extendsIn(parsed) ?? {};
  if (text === undefined || text === '') return undefined;
  const expected = 'expected a path relative to this file';
  if (text.includes('${')) return { problem: `found a reference, ${expected}, as it is` };
  if (path === undefined || isAbsolute(text) || text.startsWith('~'))
    return { problem: `found '${shortened(text)}', ${expected}` };
  return { path: resolve(dirname(path), text) };
}

function givenIn(parsed: ParsedText, name: string): GivenParameters {
  const placeOf = (offset: number): string => {
    const { line, column } = parsed.positionAt(offset);
    return `${name}:${line}:${column}`;
  };
  return { written: parametersIn(parsed), placeOf };
}

function together(
  parsed: ParsedText,
  {
    origin,
    given,
    template,
  }: {
    readonly origin: ExtendedOrigin;
    readonly given: GivenParameters;
    readonly template: TemplateText;
  },
): ConfigurationDocument {
  const name = origin.nameOf(template.path);
  const parsedTemplate = parseText(template.text, name);
  const defaults = givenIn(parsedTemplate, name);
  const sources = withParameters({ given, defaults, environment: origin.environment });
  const own = readDocument(parsed, sources);
  const lower = readDocument(parsedTemplate, sources);
  const faults = [...templateFaults(lower), ...badNames(lower, defaults)];
  const isReadable = faults.length === 0 && own.data !== undefined;
  const known = [...defaults.written.keys(), ...lower.names, ...own.names, ...namesInParameters(defaults)];
  const unknown = isReadable ? unknownParameters(own, { given, known, name }) : [];
  const problems = [...own.problems, ...badNames(own, given), ...unknown, ...nothingThere(own, lower, name)];
  const document = overlaid(lower, { ...own, problems });
  return isReadable ? document : { ...document, data: undefined, problems: [...own.problems, ...faults] };
}

/** What makes a file no template; those of single values come later, if they count at all. */
function templateFaults(document: ConfigurationDocument): Problem[] {
  const { data } = document;
  const faults = document.problems.filter(({ path }) => path.length === 0);
  if (faults.length > 0 || data === undefined) return faults;
  if (typeof data !== 'object' || data === null || Array.isArray(data))
    return [
      {
        path: [],
        position: document.positionOf([], 'value'),
        text: 'found no keys, expected those of a lifeboat.yaml',
      },
    ];
  if (childOf(data, 'extends') === undefined) return [];
  const text = 'found extends in a template, expected none: a template extends nothing';
  return [{ path: ['extends'], position: document.positionOf(['extends'], 'key'), text }];
}

function badNames(document: ConfigurationDocument, { written }: GivenParameters): Problem[] {
  if (document.data === undefined) return [];
  return [...written.keys()]
    .filter((name) => !isParameterName(name))
    .map((name) => ({
      path: ['parameters'],
      position: document.positionOf(['parameters', name], 'key'),
      text: 'found a key (not shown), expected a name of letters, digits and _, and a space after the colon',
    }));
}

/** A parameter that nobody uses is one that was mistyped. */
function unknownParameters(
  own: ConfigurationDocument,
  { given, known, name }: { readonly given: GivenParameters; readonly known: readonly string[]; readonly name: string },
): Problem[] {
  const names = [...new Set(known)];
  const free = names.filter((one) => !given.written.has(one));
  return [...given.written.keys()]
    .filter((one) => !names.includes(one) && isParameterName(one))
    .map((one) => {
      const nearest = nearestOf(one, free);
      const others = free.length === 0 ? '' : `, expected ${listOf(free.slice(0, namesShownMax))}`;
      const hint = nearest === undefined ? others : `; did you mean '${nearest}'?`;
      return {
        path: ['parameters'],
        position: own.positionOf(['parameters', one], 'key'),
        text: `found '${shortened(one)}', which ${name} never uses${hint}`,
      };
    });
}

/** What is taken away, and is not there, has another name in the template: it would stay, unnoticed. */
function nothingThere(own: ConfigurationDocument, lower: ConfigurationDocument, name: string): Problem[] {
  const isThere = (path: DocumentPath): boolean => {
    const [parent, key] = [path.slice(0, -1).reduce(childOf, lower.data), path.at(-1)];
    return key !== undefined && typeof parent === 'object' && parent !== null && Object.hasOwn(parent, key);
  };
  return own.nulls
    .filter((path) => path.every((key) => typeof key === 'string') && path.length > 0 && !isThere(path))
    .map((path) => ({
      path,
      position: own.positionOf(path, 'key'),
      text: `found null, which takes away what a template says, expected a key that is in ${name}`,
    }));
}

const namesShownMax = 12;
