// `copy`: brings snapshots from one repository into another, without reading the source again.
import { count } from '../../base/count.ts';
import { AppError, isAppError } from '../../base/errors.ts';
import { monthAt, monthOf } from '../../model/archive.ts';
import type { RepositorySettings } from '../../model/repository-settings.ts';
import { componentOf } from '../../operations/restore/select-point.ts';
import { copySnapshots, decideCopy, type CopyProgress, type CopyResult } from '../../repository/copy.ts';
import { requireRepository } from '../../repository/open-repository.ts';
import { neededFrom } from '../../operations/journal/trim.ts';
import { readBranches } from '../../repository/journal/branches.ts';
import { copyJournals, decideJournalCopy, type JournalCopyResult } from '../../repository/journal/copy.ts';
import type { Repository } from '../../repository/repository.ts';
import { hasRepository, seedRepository } from '../../repository/seed.ts';
import { resolveSnapshotId, type StoredSnapshot } from '../../repository/snapshot.ts';
import { defineCommand } from '../command.ts';
import type { CommandContext, OpenedRepository } from '../context.ts';
import { judgeBackups } from '../anomaly-notes.ts';
import { listArgument, switchOption, textOption } from '../option.ts';
import { readableSnapshots } from '../readable-snapshots.ts';
import { openItself } from '../repository-choice.ts';
import { bytes, elapsedWords, shortId, wrap, type Style } from '../style.ts';

export interface CopyData extends Pick<CopyResult, 'blobs' | 'blobBytes'> {
  readonly isDryRun: boolean;
  readonly snapshots: readonly CopyOutcome[];
  readonly from: string;
  readonly to: string;
  readonly elapsedMs: number;
  /** Absent where only some snapshots were asked for. */
  readonly journals?: JournalCopyResult | undefined;
}

export interface CopyOutcome {
  readonly from: StoredSnapshot['id'];
  /** Absent with `--dry-run`. */
  readonly to?: StoredSnapshot['id'];
  /** The target had it already. */
  readonly wasThere: boolean;
}

export const copyCommand = defineCommand({
  summary: 'Copy snapshots to another repository',
  details:
    "What the other repository has already is not sent again. Make it with 'lifeboat repository init --from', so that both cut files alike. With two repositories in lifeboat.yaml, the first is copied to the second. Journals come along where no snapshots are named; exit code 20: something of them could not be copied because it is damaged.",
  examples: [
    'lifeboat copy --to offsite',
    'lifeboat copy latest --component database --from local --to offsite',
    'lifeboat copy --from /srv/repo --to s3://bucket/app --to-password-file ./other',
  ],
  arguments: { words: listArgument('[snapshot...]', 'latest, or first digits of ids; all if absent') },
  options: {
    from: textOption(
      '--from <repository>',
      'where to copy from (default: --repository, or the first of lifeboat.yaml)',
    ),
    to: textOption('--to <repository>', 'where to copy to (default: the second of lifeboat.yaml)'),
    fromPasswordFile: textOption(
      '--from-password-file <path>',
      'file with the password of the first, if it is another one',
    ),
    toPasswordFile: textOption(
      '--to-password-file <path>',
      'file with the password of the second, if it is another one',
    ),
    component: textOption('--component <name>', 'only snapshots of this component'),
    isDryRun: switchOption('--dry-run', 'show what would be copied, and do nothing'),
  },
  isLong: true,
  interrupted: {
    left: 'what was stored stays stored',
    hint: 'Run the command again: it goes on from what was stored.',
  },
  async run(context, input): Promise<CopyData> {
    const startMs = context.clock.now();
    const { from, to } = await ends(context, input);
    if (from.location === to.location) {
      throw new AppError('USAGE', `both ends of the copy are ${from.location}`, { hint: 'Name another --to.' });
    }
    if (from.archive !== undefined) {
      const hint = `Name a month of it: --from ${from.name}/${monthAt(context.clock.now())}.`;
      throw new AppError('USAGE', `${from.name} is an archive, with a repository for each month`, { hint });
    }
    for (const end of [from, to]) {
      await context.requireMonth(end);
      await using store = await context.openStore(end);
      await requireRepository(store, context.signal);
    }
    // The source gets a lock too, so that a prune there waits.
    const { isDryRun } = input;
    await using source = await context.openRepository(from, isDryRun ? 'read' : 'write');
    await using target = await openTarget(context, to, isDryRun);
    const copied = await copyChosen(context, input, { source, target, to: to.name });
    // What is odd here is odd there, and retention there looks there.
    if (!isDryRun) await judgeBackups(target.repository, { component: input.component }, context.signal);
    // After the snapshots: a journal is of use from a base on.
    const isWhole = input.words.length === 0 && input.component === undefined;
    const journals = isWhole ? await copyAllJournals(context, isDryRun, { source, target, to: to.name }) : undefined;
    const elapsedMs = context.clock.now() - startMs;
    return { isDryRun, from: from.name, to: to.name, elapsedMs, ...copied, journals };
  },
  render({ isDryRun, from, to, snapshots, blobs, blobBytes, elapsedMs, journals }, style) {
    const fresh = snapshots.filter(({ wasThere }) => !wasThere);
    const [verb, elapsed] = isDryRun ? ['would copy', ''] : ['copied', ` in ${elapsedWords(elapsedMs)}`];
    const lines = [
      `${verb} ${count(fresh.length, 'snapshot')} from ${from} to ${to}${elapsed}: ${count(blobs, 'blob')}, ${bytes(blobBytes)}`,
    ];
    if (fresh.length < snapshots.length)
      lines.push(
        `  ${count(snapshots.length - fresh.length, isDryRun ? 'is' : 'was', isDryRun ? 'are' : 'were')} there already`,
      );
    if (journals !== undefined) lines.push(...renderJournals(journals, style));
    for (const each of fresh) {
      if (each.to === undefined) lines.push(`  ${shortId(each.from)}`);
      else if (style.isVerbose) lines.push(`  ${shortId(each.from)} is ${shortId(each.to)} there`);
    }
    if (isDryRun) lines.push('nothing was done: --dry-run');
    return lines.join('\n');
  },
  exitCode: ({ journals }) => (journals !== undefined && journals.problems.length > 0 ? 20 : 0),
});

/** Of an archive this month's, which the first copy makes: with the keys of the archive, and no data but its own. */
async function openTarget(
  context: CommandContext,
  to: RepositorySettings,
  isDryRun: boolean,
): Promise<OpenedRepository> {
  if (to.archive === undefined) return await context.openRepository(to, isDryRun ? 'read' : 'write');
  const month = monthAt(context.clock.now());
  await using place = await context.openStore(monthOf(to, month));
  if (isDryRun) {
    const isMade = await hasRepository(place, context.signal);
    // The archive itself is empty, as the month will be: all has to be copied.
    return await (isMade ? context.openRepository(to, 'read', month) : openItself(context, to));
  }
  await using archive = await context.openStore(to);
  await seedRepository(archive, place, context.signal);
  return await context.openRepository(to, 'write', month);
}

interface CopyEnds {
  readonly source: { readonly repository: Repository };
  readonly target: { readonly repository: Repository };
  /** The target, as people call it. */
  readonly to: string;
}

async function copyChosen(
  context: CommandContext,
  input: Input,
  { source, target, to }: CopyEnds,
): Promise<Pick<CopyData, 'snapshots' | 'blobs' | 'blobBytes'>> {
  const { signal, settings, progress } = context;
  const options = {
    snapshots: await chosenIds(source.repository, input, context),
    signal,
    onProgress: ({ doneBytes, totalBytes, trees }: CopyProgress) =>
      progress.update({
        work: `${input.isDryRun ? 'compare with' : 'copy to'} ${to}`,
        bytesDone: doneBytes,
        bytesTotal: totalBytes,
        itemsDone: trees,
        item: 'tree',
      }),
  };
  if (!input.isDryRun)
    return await copySnapshots(source.repository, target.repository, { ...options, lockWaitMs: settings.lockWaitMs });
  const { missing, alreadyThere, blobs, blobBytes } = await decideCopy(source.repository, target.repository, options);
  const outcomes = [
    ...missing.map(({ id }) => ({ from: id, wasThere: false })),
    ...alreadyThere.map(({ id }) => ({ from: id, wasThere: true })),
  ];
  return { snapshots: outcomes, blobs, blobBytes };
}

async function copyAllJournals(
  { signal, settings, progress }: CommandContext,
  isDryRun: boolean,
  { source, target, to }: CopyEnds,
): Promise<JournalCopyResult> {
  const { branches } = await readBranches(source.repository, signal);
  const floors = await neededFrom(target.repository, branches, { signal });
  if (isDryRun) return await decideJournalCopy(source.repository, target.repository, { floors, signal });
  return await copyJournals(source.repository, target.repository, {
    signal,
    floors,
    lockWaitMs: settings.lockWaitMs,
    onProgress: ({ segments, bytes: bytesDone }) =>
      progress.update({ work: `copy to ${to}`, bytesDone, itemsDone: segments, item: 'segment' }),
  });
}

const problemsShownMax = 20;

function renderJournals({ segments, bytes: copiedBytes, problems }: JournalCopyResult, style: Style): string[] {
  const lines = segments > 0 ? [`  journals: ${count(segments, 'segment')}, ${bytes(copiedBytes)}`] : [];
  for (const { name, message } of problems.slice(0, problemsShownMax)) {
    const mark = style.paint('red', 'error');
    lines.push(...wrap(`${mark} ${name}: ${message}`, style.widthColumns - 2).map((line) => `  ${line}`));
  }
  if (problems.length > problemsShownMax) lines.push('  and more: --json lists them');
  return lines;
}

type Input = Parameters<typeof copyCommand.run>[1];

async function ends(context: CommandContext, { from, to, fromPasswordFile, toPasswordFile }: Input) {
  // What both ends are given needs no configuration.
  const chosen = from === undefined || to === undefined ? await otherEnds(context, { from, to }) : [];
  const source = from === undefined ? chosen[0] : await context.repositoryAt(from, { passwordFile: fromPasswordFile });
  const others = chosen.filter(({ location }) => location !== source?.location);
  const target = to === undefined ? others[0] : await context.repositoryAt(to, { passwordFile: toPasswordFile });
  if (source !== undefined && target !== undefined) return { from: source, to: target };
  throw new AppError('USAGE', 'no repository to copy to is named', { hint: 'Name it with --to.' });
}

/** Where one end is named, what is missing is the other one. */
async function otherEnds(context: CommandContext, { from, to }: Pick<Input, 'from' | 'to'>) {
  try {
    return await context.chosenRepositories();
  } catch (error) {
    if (!isAppError(error, 'CONFIG_MISSING') || (from === undefined && to === undefined)) throw error;
    const [fact, hint] =
      to === undefined
        ? ['no repository to copy to is named', 'Name it with --to.']
        : ['no repository to copy from is named', 'Name it with --from.'];
    throw new AppError('USAGE', fact, { hint, cause: error });
  }
}

async function chosenIds(repository: Repository, { words, component }: Input, context: CommandContext) {
  const { signal } = context;
  const all = await readableSnapshots(repository, context);
  const own = component === undefined ? all : all.filter((snapshot) => componentOf(snapshot) === component);
  if (words.length === 0) return own.map(({ id }) => id);
  const ids: StoredSnapshot['id'][] = [];
  for (const word of words) {
    const latest = word === 'latest' ? own.at(-1)?.id : undefined;
    ids.push(latest ?? (await resolveSnapshotId(repository, word, signal)));
  }
  return ids;
}
