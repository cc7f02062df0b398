// The one place that reads the process: variables, folders. All else receives this snapshot.
import { homedir } from 'node:os';
import { delimiter } from 'node:path';

export interface Environment {
  readonly variables: Readonly<Record<string, string | undefined>>;
  readonly workingFolder: string;
  readonly homeFolder: string;
}

export function readEnvironment(): Environment {
  return { variables: { ...process.env }, workingFolder: process.cwd(), homeFolder: homedir() };
}

/** Folders of the PATH. */
export function programFolders(environment: Environment): string[] {
  return (variable(environment, 'PATH') ?? '').split(delimiter).filter((folder) => folder !== '');
}

/** A variable's value; one that is set to nothing counts as not set, as compose files often leave them. */
export function variable(environment: Environment, name: string): string | undefined {
  const value = environment.variables[name];
  return value === '' ? undefined : value;
}
