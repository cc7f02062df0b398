// Patterns for names and paths: `*` and `?` stop at slashes, `**` does not, `[a-c]` is one character of a set. Hidden
// names are names like others.

/** Tells whether a path fits: a pattern without a slash speaks of the last name, one with a slash of the whole path. */
export type PathTest = (path: string) => boolean;

export function compileGlob(pattern: string, options: { readonly ignoreCase?: boolean | undefined } = {}): PathTest {
  const isWholePath = pattern.includes('/');
  const anchored = isWholePath && !pattern.startsWith('/') ? `/${pattern}` : pattern;
  const form = new RegExp(`^${sourceOf(anchored.replace(/\/+$/, ''))}$`, options.ignoreCase === true ? 'isu' : 'su');
  return (path) => form.test(isWholePath ? path : path.slice(path.lastIndexOf('/') + 1));
}

/** No more than these: an escaped hyphen is an error in an expression for Unicode. */
const special = /[\\^$.*+?()[\]{}|/]/g;
const tokens = /\*\*\/|\*\*|\*|\?|\[(!|\^)?(\]?[^\]]*)\]|\\(.)|([^*?[\\]+|.)/gsu;

function sourceOf(pattern: string): string {
  let source = '';
  for (const [token, negation, set, escaped, text] of pattern.matchAll(tokens)) {
    if (token === '**/') source += '(?:[^/]*/)*';
    else if (token === '**') source += '.*';
    else if (token === '*') source += '[^/]*';
    else if (token === '?') source += '[^/]';
    else if (set !== undefined && set !== '')
      source += `[${negation === undefined ? '' : '^'}${set.replaceAll(/[\\\][^]/g, String.raw`\$&`)}]`;
    else source += (escaped ?? text ?? token).replaceAll(special, String.raw`\$&`);
  }
  return source;
}
