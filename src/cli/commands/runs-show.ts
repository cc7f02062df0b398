// `runs show`: one run with its steps and what it told.
import { eventsOf, eventsMax, type RunEventRow } from '../../catalog/run-events.ts';
import type { RunRow } from '../../catalog/runs.ts';
import { stepsOf, type StepRow } from '../../catalog/steps.ts';
import { approvableComponent, approvalTopic } from '../../service/restore-runs.ts';
import { defineCommand } from '../command.ts';
import { shortEnding } from '../id-ending.ts';
import { requiredArgument } from '../option.ts';
import { durationWords, errorOf, originWords, requireRun, stateWords, subjectWords } from '../run-words.ts';
import { elapsedWords, shortTimeAt, wrap, type Style } from '../style.ts';
import { table } from '../table.ts';

export interface RunsShowData {
  readonly run: RunRow;
  readonly steps: readonly StepRow[];
  readonly events: readonly RunEventRow[];
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
    return { run, steps, events };
  },
  render: renderRun,
});

const isWaitingForApproval = (run: RunRow): boolean =>
  run.waitsFor === approvalTopic && approvableComponent(run) !== undefined;

function renderRun({ run, steps, events }: RunsShowData, style: Style): string {
  const error = errorOf(run);
  const facts = [
    ['run', run.id],
    ['job', subjectWords(run)],
    ...(run.application === null ? [] : [['of', run.application]]),
    ['state', stateWords(run.state, style)],
    ['from', originWords(run.origin)],
    ['created', shortTimeAt(run.createdAtMs, style)],
    ...(run.startedAtMs === null ? [] : [['took', durationWords(run, style.nowMs)]]),
    ...(run.attempt === 0 ? [] : [['attempts', `${run.attempt + 1} of ${run.attemptsMax}`]]),
    ...(run.wakeAtMs === null ? [] : [['goes on', shortTimeAt(run.wakeAtMs, style)]]),
  ];
  const lines = facts.map(([name = '', value = '']) => `${name.padEnd(9)}${value}`);
  if (error !== undefined) {
    lines.push(
      ...wrap(`error: ${error.message}`, style.widthColumns),
      ...wrap(`hint: ${error.hint}`, style.widthColumns),
    );
  }
  if (isWaitingForApproval(run))
    lines.push('', `it waits for an approval: lifeboat runs approve ${shortEnding(run.id)}`);
  if (steps.length > 0) {
    const columns = [{ title: 'Step', shrinksTo: 12 }, { title: 'Begun' }, { title: 'Took', align: 'right' as const }];
    const rows = steps.map(({ name, begunAtMs, doneAtMs }) => [
      name,
      shortTimeAt(begunAtMs, style),
      doneAtMs === null ? 'not done' : elapsedWords(doneAtMs - begunAtMs),
    ]);
    lines.push('', table(columns, rows, style));
  }
  if (events.length > 0) lines.push('', ...events.flatMap(({ text }) => wrap(text, style.widthColumns)));
  return lines.join('\n');
}
