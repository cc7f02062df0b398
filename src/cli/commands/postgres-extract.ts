// `postgres extract`: single tables or one database out of an instant of the past, into a server that lives on.
import { decidedBySource, type RestoreReport } from '../../operations/restore/restore.ts';
import type { Finding } from '../../model/finding.ts';
import { defineCommand } from '../command.ts';
import { requireConsent } from '../confirmation.ts';
import { listOption, switchOption, textOption } from '../option.ts';
import { instantOptions, openInstant, pastArguments } from '../past.ts';
import { reachedWords, type ReachedData } from '../past-words.ts';
import { noteWarnings, reportLines } from '../restore-report.ts';
import { elapsedWords, findingLines, wrap } from '../style.ts';

export interface ExtractData {
  readonly reached: ReachedData;
  readonly target: string;
  readonly replaces: string | undefined;
  readonly steps: readonly string[];
  readonly findings: readonly Finding[];
  /** Absent after a dry run. */
  readonly report: RestoreReport | undefined;
  readonly elapsedMs: number;
}

export const postgresExtractCommand = defineCommand({
  summary: 'Take tables or a database out of an instant of the past',
  details:
    'Brings a throw-away server to the instant, and copies what is named from it into a running server: tables into a new schema (with indexes, sequences and constraints among themselves, without triggers, policies and rights), a whole database under a new name. What is there stays, unless --replace asks that it make way: a database is then kept under another name, tables in another schema. Tables get their owner, rights, triggers and keys to other tables back; those that views, policies, publications or keys of other tables refer to are refused, since these would still mean the old ones. All rows are compared by fingerprint. Needs pg_dump and pg_restore; without them only rows of tables that are there with the same columns come back.',
  examples: [
    'lifeboat postgres extract database --at 2026-11-20T09:15:00Z --table orders',
    'lifeboat postgres extract database --lsn 0/3000148 --table orders --as rescued',
    'lifeboat postgres extract database --at-end --to postgres://admin@db2/shop',
  ],
  arguments: pastArguments,
  options: {
    ...instantOptions,
    tables: listOption('--table <name>', 'a table, with or without its schema; all of the database if none is named'),
    database: textOption('--database <name>', 'the database of that instant (default: the only one)'),
    to: textOption('--to <url>', 'postgres://user@host/database (default: where it came from)'),
    as: textOption(
      '--as <name>',
      'the new schema, or the name of the whole database (default: with the time in it); with --replace the schema for the old tables',
    ),
    replaces: switchOption('--replace', 'take the place of the tables, or of the database, of the same name'),
    isDryRun: switchOption('--dry-run', 'show what would be done, and do nothing'),
    isConfirmed: switchOption('--yes', 'replace without asking'),
  },
  isLong: true,
  async run(context, input): Promise<ExtractData> {
    const startMs = context.clock.now();
    await using past = await openInstant(context, input, {
      isWritable: true,
      before: (of, toCheck) => of.explore.requireTarget(input, toCheck),
    });
    const { source, server, reached } = past;
    const { signal } = context;
    const decision = decidedBySource(await source.explore.extract(server, input, signal), signal);
    const { target, replaces, steps, findings } = decision;
    const data = { reached, target, replaces, steps, findings };
    if (input.isDryRun) return { ...data, report: undefined, elapsedMs: context.clock.now() - startMs };
    noteWarnings(findings, context);
    const isPossible = findings.every(({ outcome }) => outcome !== 'failed');
    if (isPossible && replaces !== undefined) await requireConsent(context, `replace ${replaces}`, input.isConfirmed);
    const report = await decision.execute(({ step, bytes: bytesDone }) =>
      context.progress.update({ work: step, bytesDone, bytesTotal: undefined }),
    );
    return { ...data, report, elapsedMs: context.clock.now() - startMs };
  },
  render({ reached, target, replaces, steps, findings, report, elapsedMs }, style) {
    const from = wrap(`from     ${reachedWords(reached)}`, style.widthColumns);
    if (report !== undefined) {
      const title = `${style.paint('green', 'extracted')} to ${target} in ${elapsedWords(elapsedMs)}`;
      return [title, ...from, ...reportLines(report, style)].join('\n');
    }
    return [
      ...from,
      `target   ${target}`,
      `replaces ${replaces ?? 'nothing'}`,
      ...steps.flatMap((step, at) => wrap(`${at + 1}. ${step}`, style.widthColumns - 2)).map((line) => `  ${line}`),
      ...findingLines(findings, style),
      'nothing was done: --dry-run',
    ].join('\n');
  },
  exitCode: ({ report, findings }) =>
    report === undefined && findings.some(({ outcome }) => outcome === 'failed') ? 1 : 0,
});
