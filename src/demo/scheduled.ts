// What the server does by its schedules, as `lifeboat runs list` knows it: waits for it, and reads the numbers of it.
import { z } from 'zod';
import { AppError } from '../base/errors.ts';
import { runsListCommand } from '../cli/commands/runs-list.ts';
import type { CommandContext } from '../cli/context.ts';
import { errorOf, subjectWords } from '../cli/run-words.ts';
import type { RunView } from '../service/run-view.ts';
import { systemSleep } from '../storage/interruption.ts';

export interface Awaited {
  readonly kind: 'backup' | 'proof';
  readonly components: readonly string[];
  /** Begun since then. */
  readonly sinceMs: number;
}

const lookEveryMs = 200;
const waitMaxMs = 240_000;
const readMax = 500;

const outputSchema = z.object({ outcomes: z.array(z.object({ digest: z.unknown() })) });

/** What the first command since then returned for each of the components, in their order. Rejects if one failed, or none came. */
export async function scheduledWork(context: CommandContext, awaited: Awaited): Promise<unknown[]> {
  const { clock, signal, progress } = context;
  const { kind, components, sinceMs } = awaited;
  const deadlineMs = clock.now() + waitMaxMs;
  for (;;) {
    const runs = await runsSince(context, awaited);
    const failed = runs.find(({ state }) => state === 'failed');
    if (failed !== undefined) throw failureOf(failed);
    // Newest first: of several the first one counts.
    const done = runs.filter(({ state }) => state === 'succeeded').toReversed();
    const found = components.map((name) => done.find(({ component }) => component === name));
    const missing = components.filter((_, at) => found[at] === undefined);
    if (missing.length === 0) return found.flatMap((run) => digestsOf(run));
    progress.update({
      work: `wait for the ${kind}s`,
      itemsDone: components.length - missing.length,
      itemsTotal: components.length,
      item: 'component',
    });
    if (clock.now() > deadlineMs) {
      const what = `${kind} of ${missing.join(', ')} since ${Math.round((clock.now() - sinceMs) / 1000)} s`;
      throw new AppError('INCONCLUSIVE', `the server made no ${what}`, {
        hint: 'Start again when the machine has less to do.',
      });
    }
    await systemSleep(lookEveryMs, signal);
  }
}

async function runsSince(context: CommandContext, { kind, sinceMs }: Awaited): Promise<RunView[]> {
  const filter = { application: undefined, component: undefined, state: undefined, isOpen: false, limit: readMax };
  const { runs } = await runsListCommand.run(context, { ...filter, kind });
  return runs.filter(({ startedAt }) => startedAt !== undefined && Date.parse(startedAt) >= sinceMs);
}

function digestsOf(run: RunView | undefined): unknown[] {
  return outputSchema.parse(run?.output).outcomes.map(({ digest }) => digest);
}

function failureOf(run: RunView): AppError {
  const { message = 'nobody knows why', hint = 'Run the demonstration again.' } = errorOf(run) ?? {};
  return new AppError('JOB_FAILED', `${subjectWords(run)} failed: ${message}`, { hint });
}
