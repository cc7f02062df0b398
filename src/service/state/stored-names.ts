// How configuration files are called in a backup of the state, and where they lie from each other when they come back: files that
// extend a template name it by the way to it, so these keep their places.
import { dirname, relative, sep } from 'node:path';

export interface DescribedFile {
  readonly path: string;
  readonly application: string;
  /** The path of what it extends. */
  readonly template: string | undefined;
}

/** By path, of the files and of their templates. Names differ. */
export function storedNames(files: readonly DescribedFile[]): ReadonlyMap<string, string> {
  const templates = files.flatMap(({ template }) => template ?? []);
  if (templates.length === 0) {
    const nameOf = (application: string): string => `${application.slice(0, applicationMaxLength)}.yaml`;
    return new Map(
      files.map(({ path, application }) => [path, files.length === 1 ? 'lifeboat.yaml' : nameOf(application)]),
    );
  }
  const paths = [...new Set([...files.map(({ path }) => path), ...templates])];
  const folder = commonFolder(paths);
  return new Map(paths.map((path) => [path, relative(folder, path).replaceAll(sep, '/')]));
}

/** With `.yaml` no longer than a name may be. */
const applicationMaxLength = 59;

function commonFolder(paths: readonly string[]): string {
  const [first = [], ...others] = paths.map((path) => dirname(path).split(sep));
  const length = first.findIndex((part, at) => others.some((other) => other[at] !== part));
  return (length < 0 ? first : first.slice(0, length)).join(sep) || sep;
}
