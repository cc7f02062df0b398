// `repository kit`: a sheet for the safe, with which backups can be opened after every password was lost.
import { writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { AppError, errnoOf } from '../../base/errors.ts';
import { defineCommand } from '../command.ts';
import { listOption, textOption } from '../option.ts';
import { kitText, type KitRepository } from '../recovery-kit.ts';
import { wrap } from '../style.ts';

export interface KitData {
  readonly text: string;
  /** Where it was written. */
  readonly path: string | undefined;
  readonly repositories: readonly string[];
  readonly recipients: readonly string[];
}

export const repositoryKitCommand = defineCommand({
  summary: 'Write a recovery kit: addresses, commands, and the master key sealed with age',
  details:
    "Make an identity first and keep it apart from the kit: 'age-keygen -o identity.txt'; '-y' prints its recipient. The kit opens the repositories it names until they are given up: changing passwords does not change their keys. It protects against lost passwords, not against somebody who has both. 'lifeboat repository keys add --kit' uses it.",
  examples: [
    'lifeboat repository kit --recipient age1… --output kit.txt',
    'lifeboat repository kit --recipient age1… --recipient age1… | lpr',
  ],
  arguments: {},
  options: {
    recipients: listOption('--recipient <age1…>', 'who can open it, each by their own identity'),
    output: textOption('--output <file>', 'write it there, readable for you alone, instead of showing it'),
  },
  async run(context, { recipients, output }): Promise<KitData> {
    if (recipients.length === 0) {
      throw new AppError('USAGE', 'no recipient is given', {
        hint: "Make an identity with 'age-keygen -o identity.txt', and give what 'age-keygen -y identity.txt' prints with --recipient.",
      });
    }
    const repositories: KitRepository[] = [];
    for (const settings of await context.chosenRepositories()) {
      await using opened = await context.openRepository(settings, 'read');
      const { config, keys } = opened.repository;
      repositories.push({ settings, id: config.id, keys });
    }
    const text = await kitText({
      application: (await context.findConfiguration())?.application.name,
      repositories,
      recipients,
      version: context.programVersion,
      runtime: process.version,
      madeAtMs: context.clock.now(),
    });
    const path = output === undefined ? undefined : resolve(context.workingFolder, output);
    if (path !== undefined) await writeNew(path, text);
    return { text, path, repositories: repositories.map(({ settings }) => settings.name), recipients };
  },
  render({ text, path, repositories }, style) {
    if (path === undefined) return text.trimEnd();
    const words = `wrote the recovery kit of ${repositories.join(', ')} to ${path}: print it, and keep it where the identity is not`;
    return wrap(words, style.widthColumns).join('\n');
  },
});

async function writeNew(path: string, text: string): Promise<void> {
  await writeFile(path, text, { mode: 0o600, flag: 'wx', flush: true }).catch((error: unknown) => {
    if (errnoOf(error) !== 'EEXIST') throw error;
    throw new AppError('USAGE', `${path} is there already`, { hint: 'Choose another name, or remove it first.' });
  });
}
