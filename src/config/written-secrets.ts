// Where in a lifeboat.yaml a secret stands as it is, and not as a reference to what holds it.
import { parseText } from './document.ts';
import { configurationJsonSchema } from './schema.ts';
import { isSecretAt, type DocumentPath } from './schema-walk.ts';

/** Keys such as `repositories.local.password`, in their order; none of a text that is not valid YAML. */
export function writtenSecrets(text: string): string[] {
  const { document } = parseText(text);
  if (document === undefined || document.errors.length > 0) return [];
  const data: unknown = document.toJS();
  const schema = configurationJsonSchema();
  return Array.from(scalarsIn(data, []))
    .filter(({ path, value }) => isWritten(value) && (isSecretAt(schema, data, path) || hasPassword(value)))
    .map(({ path }) => path.join('.'));
}

interface ScalarAt {
  readonly path: DocumentPath;
  readonly value: string | number | boolean | null;
}

function* scalarsIn(value: unknown, path: DocumentPath): Generator<ScalarAt> {
  if (Array.isArray(value)) for (const [at, item] of value.entries()) yield* scalarsIn(item, [...path, at]);
  else if (typeof value === 'object' && value !== null)
    for (const [key, item] of Object.entries(value)) yield* scalarsIn(item, [...path, key]);
  else yield { path, value: value as ScalarAt['value'] };
}

/** What is partly a reference, such as an address with a token in it, counts as one; a fallback is written, too. */
function isWritten(value: ScalarAt['value']): boolean {
  if (value === null) return false;
  const references = Array.from(String(value).matchAll(/(?<!\$)\$\{[^}]*\}/g), ([whole]) => whole);
  return references.length === 0 || references.some((one) => /:-[^}]/.test(one));
}

/** `scheme://user:password@host`, wherever it stands. */
const hasPassword = (value: ScalarAt['value']): boolean =>
  typeof value === 'string' && /:\/\/[^/@]*:[^/@]*@/.test(value);
