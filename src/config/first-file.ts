// What `init` writes: the text of a first lifeboat.yaml, read back as every command will read it before any of it is written.
import { dirname, isAbsolute, relative, resolve } from 'node:path';
import type { InitAnswers, InitComponent } from '../cli/first-configuration.ts';
import { AppError, isAppError } from '../base/errors.ts';
import { readEnvFile, type Environment } from './environment.ts';
import { parseConfiguration, type Configuration } from './load.ts';
import { configurationTemplate } from './template.ts';

export interface FirstFile {
  readonly text: string;
  readonly configuration: Configuration;
}

/** Rejects with `CONFIG_INVALID` for answers that would make a file nobody can use. */
export function firstFile(
  answers: InitAnswers,
  options: {
    /** Where it is to lie: relative paths in it count from there, those of the answers from the working folder. */
    readonly path: string;
    readonly schemaPath: string;
    readonly environment: Environment;
  },
): FirstFile {
  const { path, schemaPath, environment } = options;
  const folder = dirname(path);
  const seen = (given: string): string => seenFrom(folder, given, environment.workingFolder);
  const { location, passwordFile } = answers;
  const text = configurationTemplate({
    ...answers,
    schemaLocation: relative(folder, schemaPath),
    components: answers.components.map((component) => withPaths(component, seen)),
    repositories: [
      {
        name: location.startsWith('s3://') ? 'remote' : 'local',
        location: seen(location),
        passwordFile: passwordFile === undefined ? undefined : seen(passwordFile),
      },
    ],
  });
  // It may refer to variables of the .env file, which are set later.
  const variables = { ...readEnvFile(environment.workingFolder), ...environment.variables };
  try {
    return { text, configuration: parseConfiguration(text, { path, environment: { ...environment, variables } }) };
  } catch (error) {
    if (!isAppError(error, 'CONFIG_INVALID')) throw error;
    throw new AppError('CONFIG_INVALID', `this would be no valid lifeboat.yaml: ${error.message}`, {
      hint: 'Correct the option or the variable that says so; nothing was written.',
      cause: error,
    });
  }
}

function withPaths(component: InitComponent, seen: (path: string) => string): InitComponent {
  if (component.type === 'files') return { ...component, paths: component.paths.map(seen) };
  return component.type === 'config' ? { ...component, files: component.files.map(seen) } : component;
}

/** As it was typed where that means the same. */
function seenFrom(folder: string, given: string, workingFolder: string): string {
  if (folder === workingFolder || isAbsolute(given) || given.startsWith('~') || given.includes('://')) return given;
  const path = relative(folder, resolve(workingFolder, given));
  return path.startsWith('.') ? path : `./${path}`;
}
