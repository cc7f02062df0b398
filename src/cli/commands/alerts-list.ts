// `alerts list`: what is wrong now, or was.
import { listAlerts } from '../../catalog/alerts.ts';
import { alertData, type AlertData, alertStateWords, alertTitle, severityWords, shortAlertId } from '../alert-words.ts';
import { defineCommand } from '../command.ts';
import { parsedOption, switchOption, textOption } from '../option.ts';
import { ageWords, type Style } from '../style.ts';
import { table } from '../table.ts';

const limitDefault = 20;

export interface AlertsListData {
  readonly alerts: readonly AlertData[];
}

export const alertsListCommand = defineCommand({
  summary: 'List what is wrong, the newest first',
  details: 'As the service found it. Exit code 1 if something is critical, 3 if something else is open.',
  examples: ['lifeboat alerts list', 'lifeboat alerts list --all --component database'],
  arguments: {},
  options: {
    isAll: switchOption('--all', 'also what was resolved'),
    component: textOption('--component <name>', 'only of this component'),
    limit: parsedOption('--limit <count>', `how many (default: ${limitDefault})`, {
      expected: 'a whole number from 1 to 1000',
      parse: (text) => (/^(?:[1-9]\d{0,2}|1000)$/.test(text) ? Number(text) : undefined),
    }),
  },
  async run(context, { isAll, component, limit }): Promise<AlertsListData> {
    await using catalog = await context.openCatalog();
    const alerts = await listAlerts(catalog, { component, isOpen: !isAll, limit: limit ?? limitDefault });
    return { alerts: alerts.map(alertData) };
  },
  render: ({ alerts }, style) => (alerts.length === 0 ? 'no alerts' : renderAlerts(alerts, style)),
  exitCode({ alerts }) {
    const open = alerts.filter(({ state }) => state !== 'resolved');
    if (open.some(({ severity }) => severity === 'critical')) return 1;
    return open.length === 0 ? 0 : 3;
  },
});

function renderAlerts(alerts: AlertsListData['alerts'], style: Style): string {
  const columns = [
    { title: 'Alert' },
    { title: 'Severity' },
    { title: 'What', shrinksTo: 24 },
    { title: 'Since' },
    { title: 'State', shrinksTo: 12 },
  ];
  const rows = alerts.flatMap((alert) => [
    [
      shortAlertId(alert.id),
      severityWords(alert.severity, style),
      alertTitle(alert),
      ageWords(new Date(alert.sinceMs).toISOString(), style),
      alertStateWords(alert),
    ],
    ...(alert.facts[0] === undefined ? [] : [['', '', alert.facts[0].value, '', '']]),
  ]);
  return table(columns, rows, style);
}
