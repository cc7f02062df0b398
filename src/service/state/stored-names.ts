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
    const [first, ...others] = files;
    if (first !== undefined && others.length === 0) return new Map([[first.path, 'lifeboat.yaml']]);
    return namesByApplication(files);
  }
  const paths = [...new Set([...files.map(({ path }) => path), ...templates])];
  const folder = commonFolder(paths);
  return new Map(paths.map((path) => [path, relative(folder, path).replaceAll(sep, '/')]));
}

/** With `.yaml` and a number no longer than a name may be. */
const applicationMaxLength = 55;

/** Of two that are cut alike, or whose application is not known here, the later one has a number. */
function namesByApplication(files: readonly DescribedFile[]): ReadonlyMap<string, string> {
  const names = new Map<string, string>();
  const taken = new Set<string>();
  for (const { path, application } of files) {
    const front = application.slice(0, applicationMaxLength);
    let name = `${front}.yaml`;
    for (let number = 2; taken.has(name); number += 1) name = `${front}-${number}.yaml`;
    taken.add(name);
    names.set(path, name);
  }
  return names;
}

function commonFolder(paths: readonly string[]): string {
  const [first = [], ...others] = paths.map((path) => dirname(path).split(sep));
  const length = first.findIndex((part, at) => others.some((other) => other[at] !== part));
  return (length < 0 ? first : first.slice(0, length)).join(sep) || sep;
}
