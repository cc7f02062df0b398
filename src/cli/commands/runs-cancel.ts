// `runs cancel`: ends a run, at once where nobody works on it.
import { cancelRun } from '../../catalog/runs.ts';
import type { RunState } from '../../catalog/tables.ts';
import { defineCommand } from '../command.ts';
import { requiredArgument } from '../option.ts';
import { requireRun, shortRunId } from '../run-words.ts';

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
    await using catalog = await context.openCatalog();
    const { id, state } = await requireRun(catalog, text);
    return { id, state: (await cancelRun(catalog, id)) ?? state };
  },
  render({ id, state }) {
    if (state === 'cancelled') return `run ${shortRunId(id)} is cancelled`;
    return state === 'running' ? `run ${shortRunId(id)} is asked to end` : `run ${shortRunId(id)} had ended: ${state}`;
  },
});
