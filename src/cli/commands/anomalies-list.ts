// `anomalies list`: backups that were unlike those before them, read from the repositories themselves.
import { loadSnapshots } from '../../repository/snapshot.ts';
import { loadAnomalies, type Anomaly } from '../anomaly-notes.ts';
import { defineCommand } from '../command.ts';
import { switchOption, textOption } from '../option.ts';
import { shortId, shortTime, type Style } from '../style.ts';
import { table } from '../table.ts';

export interface AnomalyData extends Omit<Anomaly, 'version' | 'kind'> {
  readonly repository: string;
}

export interface AnomaliesListData {
  readonly anomalies: readonly AnomalyData[];
}

export const anomaliesListCommand = defineCommand({
  summary: 'List backups that are unlike those before them',
  details:
    'As long as one is open, nothing of its component is removed from that repository. Exit code 3 if one is open.',
  examples: ['lifeboat anomalies list', 'lifeboat anomalies list --all --component uploads'],
  arguments: {},
  options: {
    isAll: switchOption('--all', 'also those that were accepted'),
    component: textOption('--component <name>', 'only of this component'),
  },
  async run(context, { isAll, component }): Promise<AnomaliesListData> {
    const { signal } = context;
    const found: AnomalyData[] = [];
    for (const settings of await context.chosenRepositories()) {
      await using opened = await context.openRepository(settings, 'read');
      const { anomalies } = await loadAnomalies(opened.repository, signal);
      const trees = new Set<string>((await loadSnapshots(opened.repository, signal)).map(({ tree }) => tree));
      const own = [...anomalies.values()].filter((one) => trees.has(one.tree) && (isAll || one.accepted === undefined));
      for (const { version: _, kind: __, ...one } of own) {
        if (component === undefined || one.component === component) found.push({ ...one, repository: settings.name });
      }
    }
    return { anomalies: found.toSorted((left, right) => Date.parse(right.time) - Date.parse(left.time)) };
  },
  render: ({ anomalies }, style) => (anomalies.length === 0 ? 'no odd backups' : renderAnomalies(anomalies, style)),
  exitCode: ({ anomalies }) => (anomalies.some(({ accepted }) => accepted === undefined) ? 3 : 0),
});

function renderAnomalies(anomalies: readonly AnomalyData[], style: Style): string {
  const columns = [
    { title: 'Snapshot' },
    { title: 'Time' },
    { title: 'Component', shrinksTo: 10 },
    { title: 'Repository', shrinksTo: 8 },
    { title: 'What', shrinksTo: 20 },
  ];
  const rows = anomalies.flatMap(({ snapshot, time, component, repository, facts, accepted }) =>
    facts.map(({ message }, index) =>
      index > 0
        ? ['', '', '', '', message]
        : [
            shortId(snapshot),
            shortTime(time, style),
            component,
            repository,
            accepted === undefined ? message : `${message} (accepted by ${accepted.by})`,
          ],
    ),
  );
  return table(columns, rows, style);
}
