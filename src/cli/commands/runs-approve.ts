// `runs approve`: lets a restore go on that would replace data. Whoever may read the state of the service may say so.
import { approveRun } from '../../service/asked-runs.ts';
import { approvableComponent, nothingToApprove } from '../../service/restore-runs.ts';
import { openAccess } from '../access-log.ts';
import { requireConsent } from '../confirmation.ts';
import { defineCommand } from '../command.ts';
import { shortEnding } from '../id-ending.ts';
import { requiredArgument, switchOption } from '../option.ts';
import { requireRun } from '../run-words.ts';

export interface RunsApproveData {
  readonly id: string;
  readonly component: string;
}

export const runsApproveCommand = defineCommand({
  summary: 'Let a restore go on that waits for an approval',
  details: 'It replaces the data of its component. What it would replace is among what it told: lifeboat runs show.',
  examples: ['lifeboat runs approve 3f2a9c01'],
  arguments: { id: requiredArgument('<run>', 'id of a run, or its last characters') },
  options: { isConfirmed: switchOption('--yes', 'approve without asking') },
  async run(context, { id: text, isConfirmed }): Promise<RunsApproveData> {
    await using access = await openAccess(context);
    const { log, actor } = access;
    const run = await requireRun(log.catalog, text);
    const component = approvableComponent(run);
    if (component === undefined) throw nothingToApprove(run.id);
    await requireConsent(context, `replace the data of ${component}`, isConfirmed);
    const after = await approveRun(log, run.id, actor);
    // It may have ended while somebody thought about it.
    if (after === undefined || approvableComponent(after) === undefined) throw nothingToApprove(run.id);
    return { id: run.id, component };
  },
  render: ({ id, component }) => `run ${shortEnding(id)} may replace the data of ${component}`,
});
