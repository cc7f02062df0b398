// The names in lifeboat.yaml, for a shell that completes words: at once, and never an error in the middle of a line.
import { readFile } from 'node:fs/promises';
import { isAppError, errnoOf } from '../base/errors.ts';
import { readDocument } from './document.ts';
import { variable, type Environment } from './environment.ts';
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
    const { data } = readDocument(await readFile(path, 'utf8'), { variable: () => '', file: () => ({ text: '' }) });
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
