// Whether a configuration file can be used here as it is: all that it refers to, and that is not there.
import { existsSync } from 'node:fs';
import { isAppError, messageOf } from '../base/errors.ts';
import type { Environment } from './environment.ts';
import { loadConfiguration } from './load.ts';

/** A sentence each. */
export async function problemsOfConfiguration(path: string, environment: Environment): Promise<readonly string[]> {
  try {
    const { application, unreachable, unset } = await loadConfiguration({ path, environment });
    const files = application.repositories.flatMap(({ passwordFile }) => passwordFile ?? []);
    const lost = files.filter((file) => !existsSync(file)).map((file) => `${file} is not there; ${path} names it`);
    return [...[...unreachable.values(), ...unset.values()].map(messageOf), ...lost];
  } catch (error) {
    if (isAppError(error)) return [error.message];
    throw error;
  }
}
