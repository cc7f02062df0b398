// `warm-up`: fills caches again after they were lost, by the steps of lifeboat.yaml.
import type { Observation } from '../../model/probe.ts';
import { probe } from '../../monitoring/probes/probe.ts';
import { defineCommand } from '../command.ts';
import { requireConfiguration } from '../component-choice.ts';
import type { CommandContext, LoadedConfiguration } from '../context.ts';
import { namedEntries, whyUnset } from '../named-entries.ts';
import { listArgument, switchOption } from '../option.ts';
import { elapsedWords, type Paint, type Style } from '../style.ts';
import { table } from '../table.ts';

type Outcome = 'done' | 'warning' | 'failed' | 'left out' | 'planned';

interface Step {
  readonly name: string;
  readonly outcome: Outcome;
  readonly message: string;
  readonly hint?: string | undefined;
  readonly elapsedMs: number;
}

const words = {
  one: 'step',
  none: 'lifeboat.yaml says nothing of how to fill caches',
  hint: 'Add a step to warmUp, as docs/redis.md shows.',
};

export const warmUpCommand = defineCommand({
  summary: 'Fill caches again after they were lost',
  details:
    'Carries out the steps of warmUp in lifeboat.yaml one after the other: requests to the application, and programs. One that fails does not stop the others. Exit code 1: one failed; 3: one could not be carried out as it should, or a certificate ends soon.',
  examples: ['lifeboat warm-up', 'lifeboat warm-up products --dry-run'],
  arguments: { names: listArgument('[name...]', 'steps of lifeboat.yaml; all if absent') },
  options: { isDryRun: switchOption('--dry-run', 'only say what would be done') },
  async run(context, { names, isDryRun }) {
    const configuration = await requireConfiguration(context);
    const steps: Step[] = [];
    for (const name of namedEntries(configuration, 'warmUp', { names, words })) {
      context.signal.throwIfAborted();
      context.progress.update({ work: 'warm up', detail: name });
      steps.push(isDryRun ? planned(name, configuration) : await carryOut(name, configuration, context));
    }
    return { steps };
  },
  render({ steps }, style) {
    const columns = [
      { title: 'STEP', shrinksTo: 12 },
      { title: 'STATE' },
      { title: 'TOOK', align: 'right' as const },
      { title: 'WHAT', shrinksTo: 24 },
    ];
    const rows = steps.flatMap((step) => rowsOf(step, style));
    return table(columns, rows, style);
  },
  exitCode({ steps }) {
    if (steps.some(({ outcome }) => outcome === 'failed')) return 1;
    return steps.some(({ outcome }) => outcome === 'warning' || outcome === 'left out') ? 3 : 0;
  },
});

const paints: Readonly<Record<Outcome, Paint>> = {
  done: 'green',
  planned: 'green',
  warning: 'yellow',
  'left out': 'yellow',
  failed: 'red',
};

function rowsOf({ name, outcome, message, hint, elapsedMs }: Step, style: Style): string[][] {
  const paint = paints[outcome];
  const row = [name, style.paint(paint, outcome), elapsedWords(elapsedMs), message];
  return hint === undefined ? [row] : [row, ['', '', '', `hint: ${hint}`]];
}

/** What would be sent or run, without what may be secret in it. */
function planned(name: string, configuration: LoadedConfiguration): Step {
  const settings = configuration.warmUp[name];
  if (settings === undefined) return leftOut(name, configuration);
  const message = settings.type === 'http' ? `${settings.method} ${originOf(settings.url)}` : `run ${settings.run[0]}`;
  return { name, outcome: 'planned', message, elapsedMs: 0 };
}

/** A token may stand in what follows. */
function originOf(url: string): string {
  const { origin, pathname } = new URL(url);
  return `${origin}${pathname}`;
}

function leftOut(name: string, configuration: LoadedConfiguration): Step {
  const { message, hint } = whyUnset(configuration, 'warmUp', name);
  return { name, outcome: 'left out', message, hint, elapsedMs: 0 };
}

async function carryOut(name: string, configuration: LoadedConfiguration, context: CommandContext): Promise<Step> {
  const settings = configuration.warmUp[name];
  const { signal, clock, probePorts: ports } = context;
  if (settings === undefined) return leftOut(name, configuration);
  const { outcome, message, hint, latencyMs } = await probe(settings, { signal, clock, ports });
  return { name, outcome: outcomes[outcome], message, hint, elapsedMs: latencyMs };
}

const outcomes: Readonly<Record<Observation['outcome'], Outcome>> = {
  up: 'done',
  degraded: 'warning',
  down: 'failed',
  // A program that could not be started has filled nothing.
  unknown: 'failed',
};
