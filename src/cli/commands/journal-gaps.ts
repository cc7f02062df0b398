// `journal gaps`: what is missing in the journals that are kept, and why.
import { isAppError } from '../../base/errors.ts';
import { surveyJournal, type SurveyedHole } from '../../operations/journal/survey.ts';
import type { JournalBranch } from '../../sources/journal.ts';
import { defineCommand } from '../command.ts';
import { journalSubjects } from '../journal-subject.ts';
import { listArgument } from '../option.ts';
import { shortTime, wrap, type Style } from '../style.ts';
import { table } from '../table.ts';

export interface JournalGap {
  readonly component: string;
  readonly repository: string;
  readonly lineage: string;
  readonly from: string;
  readonly to: string;
  readonly bytes: number;
  /** Undefined where nobody recorded why. */
  readonly reason: string | undefined;
  readonly time: string | undefined;
}

export interface JournalGapsData {
  readonly gaps: readonly JournalGap[];
  /** Repositories that could not be looked at. */
  readonly unknown: readonly { readonly component: string; readonly repository: string; readonly message: string }[];
}

export const journalGapsCommand = defineCommand({
  summary: 'List what is missing in the journals',
  details:
    'A gap ends what can be recovered from the bases before it; behind it a new base is needed. Exit code 21: there is a gap, or a repository could not be looked at.',
  examples: ['lifeboat journal gaps', 'lifeboat journal gaps database --json'],
  arguments: { names: listArgument('[component...]', 'components; all with a journal if absent') },
  options: {},
  async run(context, { names }): Promise<JournalGapsData> {
    const gaps: JournalGap[] = [];
    const unknown: JournalGapsData['unknown'][number][] = [];
    for (const { component, family, source, repositories } of await journalSubjects(context, names)) {
      for (const settings of repositories) {
        const place = { component, repository: settings.name };
        try {
          await using opened = await context.openRepository(settings, 'read');
          const survey = await surveyJournal(opened.repository, { family, withFacts: false }, context.signal);
          for (const branch of survey.branches) {
            const describe = (position: SurveyedHole['from']): string => source.describePlace(branch, position);
            gaps.push(...branch.holes.map((hole) => ({ ...place, ...gapOf(branch, hole, describe) })));
          }
        } catch (error) {
          context.signal.throwIfAborted();
          if (!isAppError(error)) throw error;
          unknown.push({ ...place, message: error.message });
        }
      }
    }
    return { gaps, unknown };
  },
  render: renderGaps,
  exitCode: ({ gaps, unknown }) => (gaps.length + unknown.length > 0 ? 21 : 0),
});

export function gapOf(
  { lineage, segmentBytes }: JournalBranch,
  { from, to, reason, timeMs }: SurveyedHole,
  describe: (position: SurveyedHole['from']) => string,
): Omit<JournalGap, 'component' | 'repository'> {
  return {
    lineage,
    from: describe(from),
    to: describe(to),
    bytes: (to.segment - from.segment) * segmentBytes + to.offset - from.offset,
    reason,
    time: timeMs === undefined ? undefined : new Date(timeMs).toISOString(),
  };
}

export function renderGaps({ gaps, unknown }: JournalGapsData, style: Style): string {
  const columns = [
    { title: 'Component', shrinksTo: 10 },
    { title: 'Repository', shrinksTo: 10 },
    { title: 'From', shrinksTo: 12 },
    { title: 'To', shrinksTo: 12 },
    { title: 'Found', shrinksTo: 16 },
    { title: 'Reason', shrinksTo: 20 },
  ];
  const rows = gaps.map(({ component, repository, from, to, time, reason }) => [
    component,
    repository,
    from,
    to,
    time === undefined ? '' : shortTime(time, style),
    reason ?? 'not known',
  ]);
  const lines = gaps.length > 0 ? [table(columns, rows, style)] : unknown.length > 0 ? [] : ['no gaps'];
  for (const { component, repository, message } of unknown) {
    const text = `${component} in ${repository}: ${style.paint('yellow', 'unknown')}: ${message}`;
    lines.push(...wrap(text, style.widthColumns));
  }
  return lines.join('\n');
}
