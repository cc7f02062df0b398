// `runs cancel`: ends a run, at once where nobody works on it.
import { shortEnding } from '../id-ending.ts';
import type { RunState } from '../../catalog/tables.ts';
import { cancelAskedRun } from '../../service/asked-runs.ts';
import { openAccess } from '../access-log.ts';
import { defineCommand } from '../command.ts';
import { requiredArgument } from '../option.ts';
import { requireRun } from '../run-words.ts';

export interface RunsCancelData {
  readonly id: string;
  /** After it was asked to end. */
  readonly state: RunState;
}

export const runsCancelCommand = defineCommand({
  summary: 'Cancel a run',
  details:
    'One that waits ends at once; one that is being worked on where nothing is half done, a few seconds after its worker hears of it.',
  examples: ['lifeboat runs cancel 3f2a9c01'],
  arguments: { id: requiredArgument('<run>', 'id of a run, or its last characters') },
  options: {},
  async run(context, { id: text }): Promise<RunsCancelData> {
    await using access = await openAccess(context);
    const { log, actor } = access;
    const { id, state } = await requireRun(log.catalog, text);
    return { id, state: (await cancelAskedRun(log, id, actor))?.state ?? state };
  },
  render({ id, state }) {
    if (state === 'cancelled') return `run ${shortEnding(id)} is cancelled`;
    return state === 'running'
      ? `run ${shortEnding(id)} is asked to end`
      : `run ${shortEnding(id)} had ended: ${state}`;
  },
});
