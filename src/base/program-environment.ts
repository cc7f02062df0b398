// What programs that we start are told of our environment: where programs lie. All else may hold secrets (passwords
// of repositories and servers, keys of stores) and settings that lead elsewhere.
import { delimiter } from 'node:path';

const usualFolders = ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin'];

/** `programFolders` are those of the PATH; `own` is what this program needs besides. */
export function programEnvironment(
  programFolders: readonly string[] = usualFolders,
  own: Readonly<Record<string, string>> = {},
): Record<string, string> {
  return { LC_ALL: 'C', PATH: programFolders.join(delimiter), ...own };
}
