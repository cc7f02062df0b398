// The names in lifeboat.yaml, for a shell that completes words: at once, and never an error in the middle of a line.
import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { isAppError, errnoOf } from '../base/errors.ts';
import { variable, type Environment } from './environment.ts';
import { readExtended } from './extended.ts';
import { findConfiguration } from './find.ts';
import { childOf } from './schema-walk.ts';

export interface ConfiguredNames {
  readonly components: readonly string[];
  readonly repositories: readonly string[];
}

const none: ConfiguredNames = { components: [], repositories: [] };

/** `words` are those of the line to be completed, which may name another file. Secrets are not looked at. */
export async function configuredNames(words: readonly string[], environment: Environment): Promise<ConfiguredNames> {
  try {
    const named = fileIn(words) ?? variable(environment, 'LIFEBOAT_CONFIG');
    const path = await findConfiguration({ named, workingFolder: environment.workingFolder });
    if (path === undefined) return none;
    const { document } = readExtended(await readFile(path, 'utf8'), {
      path,
      environment: { variable: () => '', file: () => ({ text: '' }) },
      nameOf: basename,
      read: (template) => ({ text: readFileSync(template, 'utf8') }),
    });
    const { data } = document;
    return { components: keysOf(data, 'components'), repositories: keysOf(data, 'repositories') };
  } catch (error) {
    if (isAppError(error) || errnoOf(error) !== undefined) return none;
    throw error;
  }
}

function fileIn(words: readonly string[]): string | undefined {
  const at = words.findLastIndex((word) => /^(?:-c$|--config(?:$|=))/.test(word));
  const word = words[at];
  if (word === undefined) return undefined;
  return word.startsWith('--config=') ? word.slice('--config='.length) : words[at + 1];
}

function keysOf(data: unknown, key: string): string[] {
  const value = childOf(data, key);
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? Object.keys(value) : [];
}
