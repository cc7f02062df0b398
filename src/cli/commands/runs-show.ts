// `runs show`: one run with its steps and what it told.
import { eventsOf, eventsMax } from '../../catalog/run-events.ts';
import { stepsOf } from '../../catalog/steps.ts';
import { approvalTopic } from '../../service/restore-runs.ts';
import { eventView, runView, stepView, type EventView, type RunView, type StepView } from '../../service/run-view.ts';
import { defineCommand } from '../command.ts';
import { shortEnding } from '../id-ending.ts';
import { requiredArgument } from '../option.ts';
import { durationWords, errorOf, originWords, requireRun, stateWords, subjectWords } from '../run-words.ts';
import { elapsedWords, shortTimeAt, wrap, type Style } from '../style.ts';
import { table } from '../table.ts';

export interface RunsShowData {
  readonly run: RunView;
  readonly steps: readonly StepView[];
  readonly events: readonly EventView[];
}

export const runsShowCommand = defineCommand({
  summary: 'Show a run: its steps, what it told, how it ended',
  examples: ['lifeboat runs show 3f2a9c01', 'lifeboat runs show 3f2a9c01 --json'],
  arguments: { id: requiredArgument('<run>', 'id of a run, or its last characters') },
  options: {},
  async run(context, { id }): Promise<RunsShowData> {
    await using catalog = await context.openCatalog();
    const run = await requireRun(catalog, id);
    const steps = await stepsOf(catalog, run.id);
    const events = await eventsOf(catalog, { runId: run.id, after: 0, limit: eventsMax });
    return { run: runView(run), steps: steps.map(stepView), events: events.map(eventView) };
  },
  render: renderRun,
});

function renderRun({ run, steps, events }: RunsShowData, style: Style): string {
  const error = errorOf(run);
  const facts = [
    ['run', run.id],
    ['job', subjectWords(run)],
    ...(run.application === undefined ? [] : [['of', run.application]]),
    ['state', stateWords(run.state, style)],
    ['from', originWords(run.origin)],
    ['created', shortTimeAt(Date.parse(run.createdAt), style)],
    ...(run.startedAt === undefined ? [] : [['took', durationWords(run, style.nowMs)]]),
    ...(run.attempt === 0 ? [] : [['attempts', `${run.attempt + 1} of ${run.attemptsMax}`]]),
    ...(run.goesOnAt === undefined ? [] : [['goes on', shortTimeAt(Date.parse(run.goesOnAt), style)]]),
  ];
  const lines = facts.map(([name = '', value = '']) => `${name.padEnd(9)}${value}`);
  if (error !== undefined) {
    lines.push(
      ...wrap(`error: ${error.message}`, style.widthColumns),
      ...wrap(`hint: ${error.hint}`, style.widthColumns),
    );
  }
  if (run.waitsFor === approvalTopic)
    lines.push('', `it waits for an approval: lifeboat runs approve ${shortEnding(run.id)}`);
  if (steps.length > 0) {
    const columns = [{ title: 'Step', shrinksTo: 12 }, { title: 'Begun' }, { title: 'Took', align: 'right' as const }];
    const rows = steps.map(({ name, begunAt, doneAt }) => [
      name,
      shortTimeAt(Date.parse(begunAt), style),
      doneAt === undefined ? 'not done' : elapsedWords(Date.parse(doneAt) - Date.parse(begunAt)),
    ]);
    lines.push('', table(columns, rows, style));
  }
  if (events.length > 0) lines.push('', ...events.flatMap(({ text }) => wrap(text, style.widthColumns)));
  return lines.join('\n');
}
