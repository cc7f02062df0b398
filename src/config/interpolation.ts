// `${VAR}`, `${VAR:-default}`, `${file:/path}` and `$${` in one scalar. Works on parsed values, never on the text of the
// file: a value can't become structure, and positions stay true.

export type Interpolated =
  | { readonly kind: 'literal'; readonly value: string }
  | { readonly kind: 'replaced'; readonly value: string }
  | ({ readonly kind: 'problem' } & ReferenceFault);

/** What is wrong with a reference. `isUnset`: it is well formed, but what it names is not there. */
export interface ReferenceFault {
  readonly found: string;
  readonly expected: string;
  readonly isUnset: boolean;
}

export interface InterpolationSources {
  /** Undefined where nothing has the name; a fault where what has it can't be used. */
  variable(name: string): string | ReferenceFault | undefined;
  /** What may have it, for messages. */
  readonly kinds?: string;
  /** Content of a file, or why it can't be read. */
  file(path: string): { readonly text: string } | { readonly problem: string };
}

const opening = /\$(\$?)\{/g;
const reference = /^(?:file:(?<path>[^}]+)|(?<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?<fallback>[^}]*))?)$/;

export function interpolate(text: string, sources: InterpolationSources): Interpolated {
  if (!text.includes('${')) return { kind: 'literal', value: text };
  let value = '';
  let at = 0;
  for (const match of text.matchAll(opening)) {
    if (match.index < at) continue; // Inside the reference before.
    value += text.slice(at, match.index);
    at = match.index + match[0].length;
    if (match[1] === '$') {
      value += '${';
      continue;
    }
    const end = text.indexOf('}', at);
    if (end < 0)
      return {
        kind: 'problem',
        found: "'${' without '}'",
        expected: "'}', or '$${' for the characters themselves",
        isUnset: false,
      };
    const resolved = resolveReference(text.slice(at, end), sources);
    if ('expected' in resolved) return { kind: 'problem', ...resolved };
    value += resolved.value;
    at = end + 1;
  }
  value += text.slice(at);
  return { kind: 'replaced', value };
}

/** Of all `${NAME}` in a text. */
export function namesIn(text: string): string[] {
  return Array.from(text.matchAll(/(\$?)\$\{(?!file:)(\w+)/g)).flatMap(([, escape, name]) =>
    escape === '' && name !== undefined ? [name] : [],
  );
}

function resolveReference(text: string, sources: InterpolationSources): { readonly value: string } | ReferenceFault {
  const { path, name, fallback } = reference.exec(text)?.groups ?? {};
  if (path !== undefined) {
    const content = sources.file(path);
    if ('problem' in content)
      return { found: `\${file:${path}}, ${content.problem}`, expected: 'a file that can be read', isUnset: true };
    // Editors and `echo` end a file with a line break that is no part of a password.
    return { value: content.text.replace(/\r?\n$/, '') };
  }
  if (name === undefined) {
    const expected = '${NAME}, ${NAME:-default} or ${file:/path}';
    return { found: "'${' and no name", expected, isUnset: false };
  }
  const value = sources.variable(name);
  if (typeof value === 'string') return { value };
  if (value !== undefined) return value;
  if (fallback !== undefined) return { value: fallback };
  return {
    found: `\${${name}}, which is not set`,
    expected: `the ${sources.kinds ?? 'environment variable'} ${name}, or \${${name}:-default}`,
    isUnset: true,
  };
}
