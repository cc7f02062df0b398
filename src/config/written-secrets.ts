// Where in a lifeboat.yaml a secret stands as it is, and not as a reference to what holds it.
import { parseText } from './document.ts';
import { parametersIn, type WrittenParameters } from './parameters.ts';
import { configurationJsonSchema } from './schema.ts';
import { isSecretAt, type DocumentPath } from './schema-walk.ts';

/** Places such as `repositories.local.password`, in their order, in one of the texts. */
export interface WrittenSecret {
  readonly of: 'file' | 'template';
  readonly place: string;
}

/** In what is handed out together: a parameter of the one may be filled in where the other has a secret. */
export function writtenSecretsOf(file: string, template = ''): WrittenSecret[] {
  const parameters = new Map([template, file].flatMap((text) => [...parametersIn(parseText(text))]));
  return [
    ...writtenSecrets(file, parameters).map((place): WrittenSecret => ({ of: 'file', place })),
    ...writtenSecrets(template, parameters).map((place): WrittenSecret => ({ of: 'template', place })),
  ];
}

/** None of a text that is not valid YAML. */
function writtenSecrets(text: string, parameters: WrittenParameters): string[] {
  const parsed = parseText(text);
  const { document } = parsed;
  if (document === undefined || document.errors.length > 0) return [];
  // As many aliases as there are were read before: what is in force is small.
  const data: unknown = document.toJS({ maxAliasCount: -1 });
  const schema = configurationJsonSchema();
  // What is replaced by the other text stands in this one all the same.
  const layers = [parametersIn(parsed), parameters];
  const isBare = ({ path, value }: ScalarAt): boolean => {
    const isSecret = isSecretAt(schema, data, path) && !isPlainHeader(path);
    return layers.some((layer) => {
      const filled = withParameters(value, layer);
      return (isSecret && isWritten(filled)) || hasPassword(filled) || (path.at(-1) !== 'sql' && readsAsSecret(filled));
    });
  };
  return Array.from(scalarsIn(data, []))
    .filter(isBare)
    .map(
      ({ path, value }) => `${path.join('.')}${withParameters(value, parameters) === value ? '' : ' (by a parameter)'}`,
    );
}

interface ScalarAt {
  readonly path: DocumentPath;
  readonly value: string;
}

function* scalarsIn(value: unknown, path: DocumentPath): Generator<ScalarAt> {
  if (Array.isArray(value)) for (const [at, item] of value.entries()) yield* scalarsIn(item, [...path, at]);
  else if (typeof value === 'object' && value !== null)
    for (const [key, item] of Object.entries(value)) yield* scalarsIn(item, [...path, key]);
  else if (typeof value === 'string') yield { path, value };
  else if (value !== null && value !== undefined) yield { path, value: JSON.stringify(value) };
}

/** A reference as it stands in a text; what begins with `$$` is none. */
const reference = /(?<!\$)\$\{[^}]*\}/g;
/** Parameters in parameters in parameters: their values may refer to those of the file, and these to the environment. */
const layersMax = 3;
/** Where a reference stood. */
const filledIn = '\0';

function withParameters(value: string, parameters: WrittenParameters): string {
  let filled = value;
  for (let layer = 0; layer < layersMax; layer += 1)
    filled = filled.replaceAll(reference, (whole) => {
      const name = /^\$\{(\w+)/.exec(whole)?.[1] ?? '';
      return parameters.get(name)?.text || whole; // One without a value leaves the fallback.
    });
  return filled;
}

/** A fallback is written, too. */
const withoutReferences = (value: string): string =>
  value.replaceAll(reference, (whole) => /:-(?<fallback>[^}]+)/.exec(whole)?.groups?.['fallback'] ?? filledIn);

/** What is partly a reference, such as an address with a token in it, counts as one; but not where only the server is referred to. */
function isWritten(value: string): boolean {
  if (value === '') return false;
  const { user = '', rest = value } =
    /^\w[\w+.-]*:\/\/(?:(?<user>[^/]*)@)?[^/?#]*(?<rest>.*)$/s.exec(value)?.groups ?? {};
  const references = [...(user + rest).matchAll(reference)].map(([whole]) => whole);
  return references.length === 0 || references.some((whole) => /:-[^}]/.test(whole));
}

/** `scheme://user:password@host`, wherever it stands; of `https://token@host` nobody would say that it is a mere name. */
function hasPassword(value: string): boolean {
  const own = withoutReferences(value);
  return /:\/\/[^/@]*:[^/@\0]+@/.test(own) || /https?:\/\/[^/@\0]+@/.test(own);
}

/** `--password=…`, `?token=…`, `Bearer …`: in command lines and addresses, which may hold anything. */
function readsAsSecret(value: string): boolean {
  const own = withoutReferences(value);
  return /(?:token|secret|passwo?r?d|api[-_]?key|signature)\s*[=:]\s*[^\s&\0]|\bbearer\s+[^\s\0]|\bauthorization\s*:\s*\w+\s+[^\s\0]/i.test(
    own,
  );
}

const plainHeaders = new Set(['accept', 'accept-language', 'cache-control', 'content-type', 'host', 'user-agent']);
const isPlainHeader = (path: DocumentPath): boolean =>
  path.at(-2) === 'headers' && plainHeaders.has(String(path.at(-1)).toLowerCase());
