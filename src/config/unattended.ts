// What lifeboat.yaml lacks when the machine starts the server: with the variables of one file, and none of the shell that somebody
// types in.
import { readFile } from 'node:fs/promises';
import { parseEnv } from 'node:util';
import { errnoOf, isAppError } from '../base/errors.ts';
import type { UnattendedStart } from '../cli/context.ts';
import { variable, type Environment } from './environment.ts';
import { loadConfiguration } from './load.ts';
import { postgresOptions } from './server-options.ts';
import { problemsOfConfiguration } from './usable.ts';

/** Systemd gives these to every unit. */
const alwaysSet = ['PATH', 'HOME', 'USER', 'LANG'];
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
  const problems = await problemsOfConfiguration(path, there, { hasRepositories: false });
  const isRead = await readHere(path, environment);
  const isTold = (name: string): boolean => problems.some((problem) => problem.includes(`\${${name}}`));
  const forgotten = Object.keys(environment.variables)
    .filter((name) => isRead(name) && !notMeant.has(name) && isForgotten(name) && !isTold(name))
    .toSorted()
    .map((name) => `${name} is set here, and will not be set there`);
  const lacking = [...problems, ...forgotten];
  return { variables: new Set(Object.keys(own).filter((name) => variable(there, name) !== undefined)), lacking };
}

/** Which variables count for this file as they are set here: those that its settings are read from, what AWS's own library looks for, and our options. */
async function readHere(path: string, environment: Environment): Promise<(name: string) => boolean> {
  const read = new Set<string>();
  const noting = new Proxy(environment.variables, {
    get(target, name) {
      if (typeof name === 'string') read.add(name);
      return typeof name === 'string' ? target[name] : undefined;
    },
  });
  const own = { ...environment, variables: noting };
  let asksMachine = false;
  try {
    const { application, alerts } = await loadConfiguration({ path, environment: own });
    for (const component of application.components) if (component.type === 'postgres') postgresOptions(component, own);
    asksMachine = [
      ...application.repositories.flatMap(({ location, s3 }) => (location.startsWith('s3://') ? [s3 ?? {}] : [])),
      ...Object.values(alerts.channels).filter(({ type }) => type === 'sns' || type === 'sns-sms'),
    ].some((one) => !('accessKeyId' in one) || one.accessKeyId === undefined);
  } catch (error) {
    if (!isAppError(error)) throw error; // What is wrong with it is among the problems.
  }
  // Looked for to find out where it lies, not for what it says.
  for (const name of alwaysSet) read.delete(name);
  return (name) => read.has(name) || name.startsWith('LIFEBOAT_') || (asksMachine && name.startsWith('AWS_'));
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
