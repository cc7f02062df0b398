// `verify` and `repository verify`: is what is stored intact? Structure always, data on request, all of it or a sample that
// covers everything in so many runs.
import type { RepositorySettings } from '../../model/repository-settings.ts';
import type { VerificationRecord } from '../../model/verification.ts';
import { verifyRepository, type VerifyResult } from '../../repository/verify.ts';
import { count } from '../../base/count.ts';
import { isAppError } from '../../base/errors.ts';
import { defineCommand } from '../command.ts';
import { WorkerPool } from '../../repository/worker-pool.ts';
import { malformedFacts } from '../malformed-facts.ts';
import { failureOf, type Failure } from '../failure.ts';
import type { CommandContext } from '../context.ts';
import { parsedOption, switchOption } from '../option.ts';
import { saveVerification } from '../verifications.ts';
import { bytes, elapsedWords, wrap, type Style } from '../style.ts';

interface RepositoryVerification extends Omit<VerifyResult, 'roots'> {
  readonly repository: string;
  readonly level: 'structure' | 'data';
  readonly elapsedMs: number;
  /** Why the good outcome could not be recorded in the repository. */
  readonly unrecorded?: string | undefined;
  /** A sentence for each backup that is stored as it was written, and was written wrongly. */
  readonly malformed: readonly string[];
}

interface FailedVerification extends Pick<Failure, 'code' | 'message' | 'hint' | 'exitCode'> {
  readonly repository: string;
}

export interface VerifyData {
  readonly repositories: readonly RepositoryVerification[];
  /** Those that could not be looked at. */
  readonly failed: readonly FailedVerification[];
}

interface Sample {
  readonly part: number;
  readonly of: number;
}

export const verifyCommand = defineCommand({
  summary: 'Verify that what is stored is intact',
  details:
    "Checks that every file is there and has its size, and that every snapshot has all it needs; with --read-data every byte is read, opened and compared with its hash. --sample 1/7, 2/7 … 7/7 read everything in seven runs. A good outcome is recorded in the repository: 'status' and 'snapshots' show it, and 'retention' keeps the newest verified snapshot where none is proven. Exit code 20: something is damaged; 3: a backup was written wrongly, by its own facts (of the newest of each component; of all with --read-data). Whether data comes back is told by 'prove'.",
  examples: [
    'lifeboat verify',
    'lifeboat verify --read-data',
    'lifeboat verify --sample 1/7 --repository s3://bucket/app',
  ],
  arguments: {},
  options: {
    readsData: switchOption('--read-data', 'read and check all stored data'),
    sample: parsedOption<Sample>('--sample <part>', 'read and check a part of the data, such as 1/7', {
      expected: 'a part such as 1/7',
      parse: parseSample,
    }),
  },
  isLong: true,
  async run(context, { readsData, sample }): Promise<VerifyData> {
    const level = readsData || sample !== undefined ? 'data' : 'structure';
    const repositories: RepositoryVerification[] = [];
    const failed: FailedVerification[] = [];
    const chosen = await context.chosenRepositories();
    for (const settings of chosen) {
      try {
        repositories.push(await verifyOne(settings, context, { level, sample: readsData ? undefined : sample }));
      } catch (error) {
        context.signal.throwIfAborted();
        // One that can't be reached must not hide damage in another; alone it is simply the error.
        if (chosen.length === 1 || !isAppError(error)) throw error;
        const { code, message, hint, exitCode } = failureOf(error);
        failed.push({ repository: settings.name, code, message, hint, exitCode });
      }
    }
    return { repositories, failed };
  },
  render: ({ repositories, failed }, style) =>
    [
      ...repositories.map((each) => renderVerification(each, style)),
      ...failed.map(({ repository, message, hint }) =>
        [`repository ${repository}: ${style.paint('yellow', 'unknown')}: ${message}`, `hint: ${hint}`]
          .flatMap((line) => wrap(line, style.widthColumns))
          .join('\n'),
      ),
    ].join('\n\n'),
  exitCode: ({ repositories, failed }) =>
    repositories.some(({ errors }) => errors > 0)
      ? 20
      : (failed[0]?.exitCode ?? (repositories.some(({ malformed }) => malformed.length > 0) ? 3 : 0)),
});

/** `2/7`: both numbers, the first within the second. */
export function parseSample(text: string): Sample | undefined {
  const [, part = '0', of = '0'] = /^(\d{1,6})\/(\d{1,6})$/.exec(text) ?? [];
  const sample = { part: Number(part), of: Number(of) };
  return sample.part >= 1 && sample.part <= sample.of ? sample : undefined;
}

async function verifyOne(
  settings: RepositorySettings,
  context: CommandContext,
  { level, sample }: { readonly level: 'structure' | 'data'; readonly sample: Sample | undefined },
): Promise<RepositoryVerification> {
  const { signal, clock, progress } = context;
  const readsAll = level === 'data' && sample === undefined;
  const startMs = clock.now();
  await using opened = await context.openRepository(settings, 'uncached');
  const work = `verify ${settings.name}`;
  const malformed: string[] = [];
  await using pool = new WorkerPool(opened.repository);
  const { roots, ...result } = await verifyRepository(opened.repository, {
    pool,
    async lookInside(inside) {
      malformed.push(...(await malformedFacts(inside, { pool, isAll: readsAll })));
    },
    level,
    sample,
    signal,
    lockWaitMs: context.settings.lockWaitMs,
    onProgress({ trees, packsRead, packsToRead, bytesRead }) {
      const isReading = packsToRead > 0;
      progress.update(
        isReading
          ? { work, itemsDone: packsRead, itemsTotal: packsToRead, item: 'pack', bytesDone: bytesRead }
          : { work, itemsDone: trees, item: 'tree' },
      );
    },
  });
  const outcome = { repository: settings.name, level, elapsedMs: clock.now() - startMs, malformed, ...result };
  if (result.errors > 0) return outcome;
  const record: VerificationRecord = {
    version: 1,
    time: new Date(startMs).toISOString(),
    level: sample === undefined ? level : 'sample',
    sample,
    trees: [...roots],
    packsRead: result.counts.packsRead,
    bytesRead: result.counts.bytesRead,
    program: `lifeboat ${context.programVersion}`,
  };
  return { ...outcome, unrecorded: await saveVerification(opened.repository, record, signal) };
}

const findingsShownMax = 50;

function renderVerification(
  { repository, level, elapsedMs, findings, errors, notes, counts, unrecorded, malformed }: RepositoryVerification,
  style: Style,
): string {
  const verdict =
    errors === 0 ? style.paint('green', 'intact') : style.paint('red', `DAMAGED: ${count(errors, 'error')}`);
  const read =
    level === 'structure'
      ? 'structure only; --read-data checks the data too'
      : `read ${bytes(counts.bytesRead)} in ${counts.packsRead} of ${count(counts.packs, 'pack')}`;
  const lines = [
    `repository ${repository}: ${verdict}, in ${elapsedWords(elapsedMs)}`,
    `  ${count(counts.snapshots, 'snapshot')}, ${count(counts.trees, 'tree')}, ${count(counts.packs, 'pack')}, ${count(counts.blobs, 'blob')}`,
    ...(counts.journalObjects > 0 ? [`  ${count(counts.journalObjects, 'journal object')}`] : []),
    `  ${read}`,
  ];
  const shown = findings.filter(({ severity }) => severity === 'error' || style.isVerbose).slice(0, findingsShownMax);
  for (const { where, message, severity } of shown) {
    const mark = severity === 'error' ? style.paint('red', 'error') : style.paint('dim', 'note');
    lines.push(...wrap(`${mark} ${where}: ${message}`, style.widthColumns - 2).map((line) => `  ${line}`));
  }
  for (const sentence of malformed.slice(0, findingsShownMax)) {
    const text = `${style.paint('yellow', 'warning')}: ${sentence}`;
    lines.push(...wrap(text, style.widthColumns - 2).map((line) => `  ${line}`));
  }
  if (malformed.length > 0)
    lines.push(...wrap("hint: Take a new backup with 'lifeboat backup', and prove it.", style.widthColumns));
  if (unrecorded !== undefined)
    lines.push(...wrap(`not recorded in the repository: ${unrecorded}`, style.widthColumns));
  if (errors > findingsShownMax) lines.push(`  and more: --json lists them`);
  if (notes > 0 && !style.isVerbose) lines.push(`  ${count(notes, 'note')} that cost no data (--verbose shows them)`);
  if (errors > 0) {
    lines.push(
      ...wrap(
        "hint: Copy the files named back from another repository; 'lifeboat repository rebuild-index' repairs a lost index.",
        style.widthColumns,
      ),
    );
  }
  return lines.join('\n');
}
