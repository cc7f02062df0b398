// What lifeboat.yaml lacks when the machine starts the server: with the variables of one file, and none of the shell that somebody
// types in.
import { readFile } from 'node:fs/promises';
import { parseEnv } from 'node:util';
import { errnoOf } from '../base/errors.ts';
import type { UnattendedStart } from '../cli/context.ts';
import { variable, type Environment } from './environment.ts';
import { problemsOfConfiguration } from './usable.ts';

/** Systemd gives these to every unit. */
const alwaysSet = ['PATH', 'HOME', 'USER', 'LANG'];
/** Read without being named in lifeboat.yaml: credentials of stores and servers, and our own options. */
const readUnnamed = /^(?:AWS_|PG|LIFEBOAT_|GOOGLE_|AZURE_)/;
/** Ours, and said by other means: of this one process, or by a finding of its own. */
const notMeant = new Set(['LIFEBOAT_LAUNCHED', 'LIFEBOAT_TETHER_MS', 'LIFEBOAT_PASSWORD', 'LIFEBOAT_CONFIG']);

export async function unattendedStart(
  path: string,
  { environmentFile, environment }: { readonly environmentFile: string; readonly environment: Environment },
): Promise<UnattendedStart> {
  const own = await variablesIn(environmentFile);
  if (own === undefined) return { variables: undefined, lacking: [] };
  const usual = alwaysSet.map((name) => [name, environment.variables[name]]);
  const variables = { ...(Object.fromEntries(usual) as Environment['variables']), ...own };
  const there = { ...environment, variables };
  const isForgotten = (name: string): boolean =>
    variable(environment, name) !== undefined && variable(there, name) === undefined;
  const forgotten = Object.keys(environment.variables)
    .filter((name) => readUnnamed.test(name) && !notMeant.has(name) && isForgotten(name))
    .toSorted()
    .map((name) => `${name} is set here, and will not be set there`);
  const lacking = [...(await problemsOfConfiguration(path, there, { hasRepositories: false })), ...forgotten];
  return { variables: new Set(Object.keys(own).filter((name) => variable(there, name) !== undefined)), lacking };
}

/** As shells have it, and systemd does not: it leaves out such a line. */
const exported = /^\s*export\s.*$/gm;

/** None where there is no file; undefined where it may not be read. */
async function variablesIn(path: string): Promise<Environment['variables'] | undefined> {
  try {
    return parseEnv((await readFile(path, 'utf8')).replaceAll(exported, ''));
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return {};
    if (errnoOf(error) === 'EACCES') return undefined;
    throw error;
  }
}
