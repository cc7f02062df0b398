// `backup`: components of the configuration, or paths of the command line, into the repositories meant for them.
import { count } from '../../base/count.ts';
import { AppError, isAppError } from '../../base/errors.ts';
import type { BackupPreview } from '../../operations/backup/preview.ts';
import { backUp, type BackupWork, type JudgedBackup } from '../back-up.ts';
import { previewExitCode, previewLines, previewWork } from '../backup-preview.ts';
import { defineCommand } from '../command.ts';
import { chooseComponents, componentOfPaths, requireConfiguration } from '../component-choice.ts';
import type { CommandContext } from '../context.ts';
import { failureOf } from '../failure.ts';
import { choiceOption, listArgument, listOption, parsedOption, switchOption, textOption } from '../option.ts';
import { withoutArchives } from '../repository-choice.ts';
import { bytes, elapsedWords, factLines, shortId, wrap, type Style } from '../style.ts';

export interface BackupOutcome {
  readonly component: string;
  readonly repository: string;
  readonly elapsedMs: number;
  readonly result?: BackupSummary;
  /** With `--dry-run`, in place of a result. */
  readonly preview?: BackupPreview;
  readonly error?: {
    readonly code: string;
    readonly message: string;
    readonly hint: string;
    readonly exitCode: number;
  };
}

type BackupSummary = Omit<JudgedBackup, 'snapshot'> & {
  readonly snapshot: { readonly id: string; readonly time: string };
};

export interface BackupData {
  readonly isDryRun: boolean;
  readonly backups: readonly BackupOutcome[];
}

export const backupCommand = defineCommand({
  summary: 'Back up components, or paths',
  details:
    'Without names all components of lifeboat.yaml are backed up, each to the repositories of its policy. With --path no lifeboat.yaml is needed. What cannot be read is left out and reported; the exit code is then 3, as it is where a backup is unlike those before it.',
  examples: [
    'lifeboat backup                                  # all components',
    'lifeboat backup database uploads --tag before-release',
    'lifeboat backup --path ./data --repository /srv/repo',
    'lifeboat backup --dry-run',
  ],
  arguments: { names: listArgument('[component...]', 'components of lifeboat.yaml; all if absent') },
  options: {
    paths: listOption('--path <path>', 'folders and files to back up instead of components'),
    name: textOption('--name <name>', "name of the component that --path makes (default: 'files')"),
    excludes: listOption('--exclude <pattern>', 'with --path: leave out what fits the pattern'),
    oneFileSystem: switchOption('--one-file-system', 'with --path: do not enter other file systems'),
    host: textOption('--host <name>', 'with --path: name to keep the snapshots under (default: the host name)'),
    description: textOption('--description <text>', 'a note that stays with the snapshot'),
    tags: listOption('--tag <tag>', 'tags of the snapshot'),
    isForced: switchOption('--force', 'read all files again, even those that seem unchanged'),
    type: choiceOption(
      '--type <type>',
      'of a physical backup: all that there is, or what changed (default: by the policy)',
      ['full', 'incremental'],
    ),
    chunker: choiceOption('--chunker <name>', 'how files of a new component are cut', ['gear', 'rabin']),
    compressionLevel: parsedOption('--compression-level <level>', 'zstd level; 0 stores data as it is', {
      expected: 'a whole number from 0 to 19',
      parse: (text) => (/^(?:\d|1\d)$/.test(text) ? Number(text) : undefined),
    }),
    isDryRun: switchOption('--dry-run', 'show what would be read and built on, and do nothing'),
  },
  isLong: true,
  interrupted: {
    left: 'what was stored stays stored',
    hint: 'Run the command again: it goes on from what was stored.',
  },
  async run(context, input): Promise<BackupData> {
    const works =
      input.paths.length > 0 ? await worksOfPaths(context, input) : await worksOfComponents(context, input.names);
    const backups: BackupOutcome[] = [];
    for (const work of works) {
      const startMs = context.clock.now();
      const done = { component: work.component.name, repository: work.repository.name };
      try {
        const made = input.isDryRun
          ? { preview: await previewWork(context, work, input) }
          : { result: summaryOf(await backUp(context, work, input)) };
        backups.push({ ...done, elapsedMs: context.clock.now() - startMs, ...made });
      } catch (error) {
        context.signal.throwIfAborted();
        // One that fails must not keep the others from being protected; alone it is simply the error.
        if (works.length === 1 || !isAppError(error)) throw error;
        const { code, message, hint, exitCode } = failureOf(error);
        backups.push({ ...done, elapsedMs: context.clock.now() - startMs, error: { code, message, hint, exitCode } });
      }
    }
    return { isDryRun: input.isDryRun, backups };
  },
  render({ isDryRun, backups }, style) {
    const parts = backups.map((outcome) => renderOutcome(outcome, backups.length > 1, style));
    return [...parts, ...(isDryRun ? ['nothing was done: --dry-run'] : [])].join('\n');
  },
  exitCode({ backups }) {
    const failed = backups.find(({ error }) => error !== undefined);
    if (failed?.error !== undefined) return failed.error.exitCode;
    const previews = backups.flatMap(({ preview }) => (preview === undefined ? [] : previewExitCode(preview)));
    if (previews.length > 0) return previews.includes(1) ? 1 : Math.max(...previews);
    const isOdd = ({ result }: (typeof backups)[number]): boolean =>
      (result?.problems.length ?? 0) > 0 || (result?.anomalies.length ?? 0) > 0;
    return backups.some(isOdd) ? 3 : 0;
  },
});

type Input = Parameters<typeof backupCommand.run>[1];

async function worksOfPaths(context: CommandContext, input: Input): Promise<BackupWork[]> {
  if (input.names.length > 0) {
    throw new AppError('USAGE', 'both components and --path are given', { hint: 'Give either, or run it twice.' });
  }
  const component = componentOfPaths(input.paths, input);
  const chosen = withoutArchives(await context.chosenRepositories());
  return chosen.map((repository) => ({ component, repository, host: input.host }));
}

async function worksOfComponents(context: CommandContext, names: readonly string[]): Promise<BackupWork[]> {
  const { application } = await requireConfiguration(context);
  const chosen = await context.chosenRepositories();
  const isNamed = !application.repositories.some(({ name }) => chosen.length !== 1 || name !== chosen[0]?.name);
  const works = chooseComponents(application, names).flatMap((component) => {
    const targets = new Set(component.policy.targets.map(({ repository }) => repository));
    const isGiven = chosen.length === 1 || isNamed;
    const repositories = isGiven ? withoutArchives(chosen) : chosen.filter(({ name }) => targets.has(name));
    return repositories.map((repository) => ({ component, repository, host: application.name }));
  });
  if (works.length > 0) return works;
  throw new AppError('CONFIG_MISSING', `${application.name} has no components to back up`, {
    hint: 'Add components to lifeboat.yaml, or give --path.',
  });
}

function summaryOf({ snapshot, ...rest }: JudgedBackup): BackupSummary {
  return { snapshot: { id: snapshot.id, time: snapshot.time }, ...rest };
}

const problemsShownMax = 20;

/** `physical, incremental`; undefined where there is only one. */
function methodWords({ method, type }: BackupSummary['facts']): string | undefined {
  return typeof method === 'string' ? [method, type].filter((word) => typeof word === 'string').join(', ') : undefined;
}

function anomalyLines({ facts }: JudgedBackup['anomalies'][number], style: Style): string[] {
  const odd = `unlike those before: ${facts.map(({ message }) => message).join('; ')}`;
  const hint = "hint: Nothing is removed of it until you run 'lifeboat anomalies accept'.";
  return [style.paint('yellow', odd), hint].flatMap((line) => factLines(line, style, '  '));
}

function renderOutcome(outcome: BackupOutcome, isOneOfMany: boolean, style: Style): string {
  const { component, repository, elapsedMs, result, error } = outcome;
  if (outcome.preview !== undefined) return previewLines(outcome, outcome.preview, style).join('\n');
  const where = isOneOfMany ? ` to ${repository}` : '';
  if (result === undefined) {
    const lines = [
      `${style.paint('red', 'failed')}  ${component}${where}: ${error?.message ?? ''}`,
      `hint: ${error?.hint ?? ''}`,
    ];
    return lines.flatMap((line) => wrap(line, style.widthColumns)).join('\n');
  }
  const { files, totalBytes, addedBytes, storedBytes, problems, notes, snapshot, fingerprintItems, anomalies } = result;
  const all = files.new + files.changed + files.unmodified;
  const failed = files.failed === 0 ? '' : `; ${files.failed} left out`;
  const lines = [
    `${style.paint('green', 'backed up')} ${component}${where} as snapshot ${style.paint('bold', shortId(snapshot.id))} in ${elapsedWords(elapsedMs)}`,
    `  read    ${count(all, 'file')}, ${bytes(totalBytes)}: ${files.new} new, ${files.changed} changed, ${files.unmodified} as before${failed}`,
    `  stored  ${bytes(storedBytes)} for ${bytes(addedBytes)} of new data`,
  ];
  const method = methodWords(result.facts);
  if (method !== undefined) lines.push(`  method  ${method}`);
  if (fingerprintItems > 0) lines.push(`  fingerprint of ${count(fingerprintItems, 'item')}, for proofs`);
  lines.push(...anomalies.flatMap((anomaly) => anomalyLines(anomaly, style)));
  for (const { message } of notes) {
    const [first, ...more] = wrap(`note: ${message}; see 'lifeboat check'`, style.widthColumns - 4);
    lines.push(`  ${first}`, ...more.map((line) => `    ${line}`));
  }
  if (problems.length > 0)
    lines.push(style.paint('yellow', `  ${count(problems.length, 'item')} left out or changed while read:`));
  const shown = style.isVerbose ? problems : problems.slice(0, problemsShownMax);
  lines.push(...shown.flatMap(({ path, message }) => factLines(`${path}: ${message}`, style, '    ')));
  if (shown.length < problems.length)
    lines.push(`    and ${problems.length - shown.length} more (--verbose shows all)`);
  return lines.join('\n');
}
