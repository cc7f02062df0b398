// Whether a configuration file can be used here as it is: all that it refers to, and that is not there.
import { existsSync } from 'node:fs';
import { isAppError, messageOf } from '../base/errors.ts';
import type { Environment } from './environment.ts';
import { loadConfiguration } from './load.ts';

export interface UsableOptions {
  /** Whether its repositories were made before; a new installation makes them later. */
  readonly hasRepositories: boolean;
}

/** A sentence each. */
export async function problemsOfConfiguration(
  path: string,
  environment: Environment,
  { hasRepositories }: UsableOptions,
): Promise<readonly string[]> {
  try {
    const { application, unreachable, unset } = await loadConfiguration({ path, environment });
    const files = application.repositories.flatMap(({ passwordFile }) => passwordFile ?? []);
    const lost = files.filter((file) => !existsSync(file)).map((file) => `${file} is not there; ${path} names it`);
    // A folder beside the file that was lost with the machine: each backup to it would fail.
    const places = application.repositories
      .filter(({ location }) => hasRepositories && !location.includes('://') && !existsSync(location))
      .map(({ name, location }) => `${location} is not there; ${path} names it as the repository ${name}`);
    return [...[...unreachable.values(), ...unset.values()].map(messageOf), ...lost, ...places];
  } catch (error) {
    if (isAppError(error)) return [error.message];
    throw error;
  }
}
