// `repository init`: creates a repository, empty or with the chunker parameters of another one, so that a copy between
// the two transfers nothing twice.
import { AppError } from '../../base/errors.ts';
import type { RepositorySettings } from '../../model/repository-settings.ts';
import { initRepository } from '../../repository/open-repository.ts';
import { defineCommand } from '../command.ts';
import type { CommandContext } from '../context.ts';
import { choiceOption, switchOption, textOption } from '../option.ts';
import { chooseOne } from '../repository-choice.ts';
import { factLines, shortId, wrap } from '../style.ts';

export interface CreatedRepository {
  readonly id: string;
  readonly location: string;
  readonly chunker: string;
  /** Whose chunker parameters it has. */
  readonly from: string | undefined;
  /** What was done to its bucket. */
  readonly bucket: readonly string[];
}

export const repositoryInitCommand = defineCommand({
  summary: 'Create a repository',
  details:
    'The password protects all that will be stored: without it nobody can restore anything. It comes from lifeboat.yaml, from --password-file, from LIFEBOAT_PASSWORD, or is asked for.',
  examples: [
    'lifeboat repository init --repository /srv/repo --password-file ./password',
    'lifeboat repository init --repository s3://bucket/app --from /srv/repo',
    'lifeboat repository init -r s3://bucket/app --create-bucket --versioning',
  ],
  arguments: {},
  options: {
    from: textOption(
      '--from <location>',
      'take the chunker parameters of this repository (copies then store nothing twice)',
    ),
    fromPasswordFile: textOption(
      '--from-password-file <path>',
      'file with the password of that repository, if it is another one',
    ),
    chunker: choiceOption(
      '--chunker <name>',
      "how files are cut: 'gear' is faster, 'rabin' deduplicates against restic",
      ['gear', 'rabin'],
    ),
    createsBucket: switchOption('--create-bucket', 'create the S3 bucket if there is none'),
    enablesVersioning: switchOption(
      '--versioning',
      'have the S3 bucket keep what is overwritten or deleted: old versions then cost until a rule of the bucket expires them',
    ),
  },
  async run(
    context,
    { from, fromPasswordFile, chunker, createsBucket, enablesVersioning },
  ): Promise<CreatedRepository> {
    const settings = await chooseOne(context, 'write');
    refuseMonth(settings);
    const origin = from === undefined ? undefined : await originOf(context, from, fromPasswordFile);
    const password = await context.passwordOf(settings, 'new');
    const wish = { creates: createsBucket, enablesVersioning };
    const bucket = createsBucket || enablesVersioning ? await context.prepareBucket(settings, wish) : [];
    await using store = await context.openStore(settings);
    const { clock, random, signal } = context;
    const { config } = await initRepository(store, {
      password,
      clock,
      random,
      signal,
      chunkerDefault: chunker ?? origin?.chunkerDefault ?? 'gear',
      chunker: origin?.chunker,
    });
    return { id: config.id, location: store.properties.location, chunker: config.chunkerDefault, from, bucket };
  },
  render({ id, location, chunker, from, bucket }, style) {
    const origin = from === undefined ? '' : ` with the parameters of ${from}`;
    return [
      ...bucket,
      ...factLines(`created repository ${shortId(id)} at ${location}${origin} (chunker ${chunker})`, style),
      ...wrap(
        'Keep the password in a second place: without it nobody can read the backups, you included.',
        style.widthColumns,
      ),
    ].join('\n');
  },
});

/** With keys of its own it would open with the same password alone, not with those that are added to the archive. */
function refuseMonth({ name, partOf: archive }: RepositorySettings): void {
  if (archive === undefined) return;
  throw new AppError('USAGE', `${name} is a month of ${archive.name}, which its first copy makes`, {
    hint: `Make the archive itself, once: 'lifeboat repository init -r ${archive.name}'; then 'lifeboat copy --to ${archive.name}'.`,
  });
}

async function originOf(context: CommandContext, location: string, passwordFile: string | undefined) {
  const settings = await context.repositoryAt(location, { passwordFile });
  await using opened = await context.openRepository(settings, 'read');
  const { chunker, chunkerDefault } = opened.repository.config;
  return { chunker, chunkerDefault };
}
