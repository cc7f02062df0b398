// `availability`: how probes stand, how much of the time what they look at worked, and how that compares with what was promised.
import { count } from '../../base/count.ts';
import type { Catalog } from '../../catalog/catalog.ts';
import { probeChanges, type ProbeChangeRow } from '../../catalog/probe-states.ts';
import { isoTime } from '../../base/iso-time.ts';
import type { ProbeOutcome } from '../../model/probe.ts';
import { probeAvailabilities, type ProbeAvailability } from '../../monitoring/availability.ts';
import { requireConfiguration } from '../component-choice.ts';
import { defineCommand } from '../command.ts';
import type { LoadedConfiguration } from '../context.ts';
import { listArgument, parsedOption } from '../option.ts';
import { ageWords, elapsedWords, shortTime, type Paint, type Style } from '../style.ts';
import { table } from '../table.ts';

const daysDefault = 30;
const changesMax = 20;

interface ProbeAvailabilityData extends Omit<ProbeAvailability, 'state'> {
  readonly probe: string;
  readonly component: string | undefined;
  readonly outcome: ProbeOutcome;
  readonly isFlapping: boolean;
  readonly message: string;
  readonly since: string;
  /** Percent; of its component. */
  readonly objectivePercent: number | undefined;
  /** The newest first; of probes that were named. */
  readonly changes: readonly { readonly at: string; readonly outcome: ProbeOutcome; readonly message: string }[];
}

export interface AvailabilityData {
  readonly days: number;
  readonly probes: readonly ProbeAvailabilityData[];
}

export const availabilityCommand = defineCommand({
  summary: 'Show how much of the time everything worked',
  details:
    'By the looks of the probes that the service makes. Degraded counts as working; time in which nobody could look counts neither way. With names, also when it changed. Exit code 30 if less than the `availability` that a component promises.',
  examples: ['lifeboat availability', 'lifeboat availability site --days 7'],
  arguments: { names: listArgument('[probe...]', 'probes of lifeboat.yaml; all if absent') },
  options: {
    days: parsedOption('--days <count>', `how far back (default: ${daysDefault})`, {
      expected: 'a whole number from 1 to 400',
      parse: (text) => (/^(?:[1-9]\d?|[1-3]\d\d|400)$/.test(text) ? Number(text) : undefined),
    }),
  },
  async run(context, { names, days = daysDefault }): Promise<AvailabilityData> {
    const configuration = await requireConfiguration(context);
    await using catalog = await context.openCatalog();
    const all = await availabilities(catalog, configuration, { names, days });
    return { days, probes: all };
  },
  render: renderAvailability,
  exitCode: ({ probes }) => (probes.some(isBelow) ? 30 : 0),
});

const isBelow = ({ percent, objectivePercent }: ProbeAvailabilityData): boolean =>
  percent !== undefined && objectivePercent !== undefined && percent < objectivePercent;

async function availabilities(
  catalog: Catalog,
  { application }: LoadedConfiguration,
  { names, days }: { readonly names: readonly string[]; readonly days: number },
): Promise<ProbeAvailabilityData[]> {
  const all = await probeAvailabilities(catalog, { applications: [application.name], days });
  const chosen = all.filter(({ state }) => names.length === 0 || names.includes(state.probe));
  const found: ProbeAvailabilityData[] = [];
  for (const { state, ...numbers } of chosen) {
    const component = application.components.find(({ name }) => name === state.component);
    const wish = { application: application.name, probe: state.probe, limit: changesMax };
    const changes = names.length === 0 ? [] : await probeChanges(catalog, wish);
    found.push({
      ...numbers,
      probe: state.probe,
      component: state.component ?? undefined,
      outcome: state.outcome,
      isFlapping: state.isFlapping === 1,
      message: state.message,
      since: isoTime(state.sinceMs),
      objectivePercent: component?.objectives?.availabilityPercent,
      changes: changes.map(changeOf),
    });
  }
  return found;
}

const changeOf = ({ atMs, outcome, message }: ProbeChangeRow): ProbeAvailabilityData['changes'][number] => ({
  at: isoTime(atMs),
  outcome,
  message,
});

const paints: Readonly<Record<ProbeOutcome, Paint>> = {
  up: 'green',
  degraded: 'yellow',
  down: 'red',
  unknown: 'yellow',
};

function renderAvailability({ probes, days }: AvailabilityData, style: Style): string {
  if (probes.length === 0) return "no probe has looked yet; 'lifeboat server' looks with those of lifeboat.yaml";
  const columns = [
    { title: 'Probe', shrinksTo: 10 },
    { title: 'State' },
    { title: 'Since' },
    { title: '24 h', align: 'right' as const },
    { title: `${days} d`, align: 'right' as const },
    { title: 'Objective', align: 'right' as const },
    { title: '95 % within', align: 'right' as const },
  ];
  const rows = probes.map((one) => [
    one.probe,
    style.paint(paints[one.outcome], one.isFlapping ? `${one.outcome}, flaps` : one.outcome),
    ageWords(one.since, style),
    percentWords(one.lastDayPercent),
    isBelow(one) ? style.paint('red', percentWords(one.percent)) : percentWords(one.percent),
    one.objectivePercent === undefined ? '' : `${one.objectivePercent} %`,
    one.latency95Ms === undefined ? '' : `${one.latency95Ms} ms`,
  ]);
  const changes = probes.flatMap(({ probe, changes: own }) =>
    own.map(({ at, outcome, message }) => `${shortTime(at, style)}  ${probe} ${outcome}: ${message}`),
  );
  const lines = [...outageLines(probes), ...changes];
  return [table(columns, rows, style), ...(lines.length === 0 ? [] : ['', ...lines])].join('\n');
}

function outageLines(probes: AvailabilityData['probes']): string[] {
  return probes.flatMap(({ probe, outages, meanRecoveryMs }) =>
    meanRecoveryMs === undefined
      ? []
      : [
          `${probe} was down ${count(outages, 'time')}, and worked again after ${elapsedWords(meanRecoveryMs)} on average`,
        ],
  );
}

/** Never rounded up: 99.999 is not all of it. */
function percentWords(percent: number | undefined): string {
  return percent === undefined
    ? 'unknown'
    : `${(Math.floor(percent * 1000) / 1000).toFixed(percent === 100 ? 0 : 3)} %`;
}
