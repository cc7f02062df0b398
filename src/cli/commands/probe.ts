// `probe`: does it work, at this moment? Looks once with each probe of lifeboat.yaml.
import { forEachLimited } from '../../base/for-each-limited.ts';
import type { Observation, ProbeOutcome } from '../../model/probe.ts';
import { probe } from '../../monitoring/probes/probe.ts';
import { defineCommand } from '../command.ts';
import { requireConfiguration } from '../component-choice.ts';
import type { CommandContext, LoadedConfiguration } from '../context.ts';
import { namedEntries, whyUnset } from '../named-entries.ts';
import { listArgument } from '../option.ts';
import { elapsedWords, type Paint, type Style } from '../style.ts';
import { table } from '../table.ts';

interface Probed {
  readonly name: string;
  readonly component: string | undefined;
  readonly observation: Observation;
}

const atOnceMax = 8;
const words = {
  one: 'probe',
  none: 'lifeboat.yaml names no probe',
  hint: 'Add one to probes, as docs/probes.md shows.',
};

export const probeCommand = defineCommand({
  summary: 'Look once whether what is protected works',
  details:
    'With each probe of lifeboat.yaml, or with those named: addresses, queries, ports, names, disks, processes, scripts, replication. One look each, without the damping over several looks. Exit code 0: all are up, 1: one is down, 21: one could not be looked at, 3: one is degraded.',
  examples: ['lifeboat probe', 'lifeboat probe site disk --json'],
  arguments: { names: listArgument('[name...]', 'probes of lifeboat.yaml; all if absent') },
  options: {},
  async run(context, { names }) {
    const configuration = await requireConfiguration(context);
    const chosen = namedEntries(configuration, 'probes', { names, words });
    const probed = new Map<string, Probed>();
    context.progress.update({ work: `look with ${chosen.join(', ')}` });
    await forEachLimited(chosen, atOnceMax, async (name) => {
      probed.set(name, await look(name, configuration, context));
    });
    return { probes: chosen.flatMap((name) => probed.get(name) ?? []) };
  },
  render({ probes }, style) {
    const columns = [
      { title: 'PROBE', shrinksTo: 12 },
      { title: 'STATE' },
      { title: 'TOOK', align: 'right' as const },
      { title: 'WHAT', shrinksTo: 24 },
    ];
    return table(
      columns,
      probes.flatMap((one) => rowsOf(one, style)),
      style,
    );
  },
  exitCode({ probes }) {
    const outcomes = new Set(probes.map(({ observation }) => observation.outcome));
    if (outcomes.has('down')) return 1;
    if (outcomes.has('unknown')) return 21;
    return outcomes.has('degraded') ? 3 : 0;
  },
});

const paints: Readonly<Record<ProbeOutcome, Paint>> = {
  up: 'green',
  degraded: 'yellow',
  down: 'red',
  unknown: 'yellow',
};

function rowsOf({ name, observation }: Probed, style: Style): string[][] {
  const { outcome, message, hint, latencyMs } = observation;
  const word = outcome === 'down' ? 'DOWN' : outcome;
  const row = [name, style.paint(paints[outcome], word), elapsedWords(latencyMs), message];
  return hint === undefined ? [row] : [row, ['', '', '', `hint: ${hint}`]];
}

async function look(name: string, configuration: LoadedConfiguration, context: CommandContext): Promise<Probed> {
  const settings = configuration.probes[name];
  const { signal, clock, probePorts: ports } = context;
  if (settings !== undefined) {
    const observation = await probe(settings, { signal, clock, ports });
    return { name, component: settings.component, observation };
  }
  const { message, hint } = whyUnset(configuration, 'probes', name);
  const observation: Observation = { outcome: 'unknown', message, hint, atMs: clock.now(), latencyMs: 0, facts: {} };
  return { name, component: undefined, observation };
}
