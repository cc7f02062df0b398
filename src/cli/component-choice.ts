// Which components a command works on: those named, or all of the configuration.
import { AppError } from '../base/errors.ts';
import type { Application } from '../model/application.ts';
import type { Component } from '../model/component.ts';
import { completePolicy } from '../model/policy.ts';
import type { CommandContext, LoadedConfiguration } from './context.ts';

/** `instead` says what does without one. */
export async function requireConfiguration(context: CommandContext, instead?: string): Promise<LoadedConfiguration> {
  const loaded = await context.findConfiguration();
  if (loaded !== undefined) return loaded;
  const hint = "Write one with 'lifeboat init', or name one with --config.";
  throw new AppError('CONFIG_MISSING', 'there is no lifeboat.yaml here or above', {
    hint: instead === undefined ? hint : `${hint} ${instead}`,
  });
}

/** In the order of the configuration. Rejects with `NOT_FOUND` for a name it does not hold. */
export function chooseComponents(application: Application, names: readonly string[]): readonly Component[] {
  const known = application.components.map(({ name }) => name);
  const unknown = names.find((name) => !known.includes(name));
  if (unknown !== undefined) {
    throw new AppError('NOT_FOUND', `there is no component '${unknown}' in ${application.name}`, {
      hint: known.length === 0 ? 'Add it to lifeboat.yaml.' : `Choose one of these: ${known.join(', ')}.`,
    });
  }
  return names.length === 0
    ? application.components
    : application.components.filter(({ name }) => names.includes(name));
}

/** A component made of paths on the command line. */
export function componentOfPaths(
  paths: readonly string[],
  options: {
    readonly excludes: readonly string[];
    readonly oneFileSystem: boolean;
    readonly name?: string | undefined;
  },
): Component {
  return {
    type: 'files',
    name: options.name ?? 'files',
    paths: [...paths],
    excludes: [...options.excludes],
    oneFileSystem: options.oneFileSystem,
    excludeCaches: false,
    excludeLargerThanBytes: undefined,
    tier: 'P1',
    checks: [],
    labels: [],
    maintenance: [],
    policy: completePolicy({ checks: [] }, []),
  };
}
