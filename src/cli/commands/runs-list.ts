// `runs list`: what the service did, does and will do next.
import { shortEnding } from '../id-ending.ts';
import { runHistory } from '../../catalog/run-history.ts';
import { applicationsSeen } from '../../catalog/standings.ts';
import { openStates, runStates } from '../../catalog/tables.ts';
import { jobKinds } from '../../model/schedule.ts';
import { restoreKind } from '../../service/restore-runs.ts';
import { runView, type RunView } from '../../service/run-view.ts';
import { defineCommand } from '../command.ts';
import { choiceOption, limitOption, switchOption, textOption } from '../option.ts';
import { durationWords, errorOf, hasWarnings, originWords, stateWords, subjectWords } from '../run-words.ts';
import { shortTimeAt, type Style } from '../style.ts';
import { table } from '../table.ts';
import { isOfSeveral } from '../whose.ts';

export interface RunsListData {
  readonly runs: readonly RunView[];
  /** That a server has looked at, or the one that was asked for. */
  readonly applications: readonly string[];
}

export const runsListCommand = defineCommand({
  summary: 'List the jobs of the service, newest first',
  examples: [
    'lifeboat runs list',
    'lifeboat runs list --open',
    'lifeboat runs list --component database --state failed',
    'lifeboat runs list --application shop --kind self-backup',
  ],
  arguments: {},
  options: {
    application: textOption(
      '--application <name>',
      'only of this application (default: all that the server looks after)',
    ),
    component: textOption('--component <name>', 'only of this component'),
    kind: choiceOption('--kind <kind>', 'only of this kind', [...jobKinds, restoreKind]),
    state: choiceOption('--state <state>', 'only in this state', runStates),
    isOpen: switchOption('--open', 'only those that are not at their end'),
    limit: limitOption,
  },
  async run(context, { application, component, kind, state, isOpen, limit }): Promise<RunsListData> {
    await using catalog = await context.openCatalog();
    const states = state !== undefined ? [state] : isOpen ? openStates : undefined;
    const only = application === undefined ? undefined : [application];
    const rows = await runHistory(catalog, { applications: only, component, kind, states, limit });
    return { runs: rows.map(runView), applications: only ?? (await applicationsSeen(catalog)) };
  },
  render: (data, style) =>
    data.runs.length === 0
      ? "no runs, or none that fit; 'lifeboat server' starts what is due"
      : renderRuns(data, style),
});

function renderRuns({ runs, applications }: RunsListData, style: Style): string {
  const isNamed = isOfSeveral(applications, runs);
  const columns = [
    { title: 'Run' },
    { title: 'Created' },
    { title: 'Job', shrinksTo: isNamed ? 18 : 12 },
    { title: 'State' },
    { title: 'Took', align: 'right' as const },
    { title: 'From', shrinksTo: 8 },
  ];
  const rows = runs.map((run) => [
    shortEnding(run.id),
    shortTimeAt(Date.parse(run.createdAt), style),
    isNamed && run.application !== undefined ? `${subjectWords(run)} of ${run.application}` : subjectWords(run),
    hasWarnings(run) ? `${stateWords(run.state, style)} *` : stateWords(run.state, style),
    durationWords(run, style.nowMs),
    originWords(run.origin),
  ]);
  const failed = runs.find(({ state }) => state === 'failed');
  const error = failed === undefined ? undefined : errorOf(failed);
  const notes = [
    ...(runs.some(hasWarnings) ? ["* with warnings: 'lifeboat runs show' has them"] : []),
    ...(failed === undefined || error === undefined ? [] : [`${shortEnding(failed.id)} failed: ${error.message}`]),
  ];
  return [table(columns, rows, style), ...notes].join('\n');
}
