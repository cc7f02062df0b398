// `alerts list`: what is wrong now, or was.
import { isoTime } from '../../base/iso-time.ts';
import { shortEnding } from '../id-ending.ts';
import { listAlerts } from '../../catalog/alerts.ts';
import { applicationsSeen } from '../../catalog/standings.ts';
import { alertData, type AlertData, alertStateWords, alertTitle, severityWords } from '../alert-words.ts';
import { defineCommand } from '../command.ts';
import { limitOption, switchOption, textOption } from '../option.ts';
import { ageWords, type Style } from '../style.ts';
import { table } from '../table.ts';
import { isOfSeveral } from '../whose.ts';

export interface AlertsListData {
  readonly alerts: readonly AlertData[];
  /** That a server has looked at, or the one that was asked for. */
  readonly applications: readonly string[];
}

export const alertsListCommand = defineCommand({
  summary: 'List what is wrong, the newest first',
  details: 'As the service found it. Exit code 1 if something is critical, 3 if something else is open.',
  examples: ['lifeboat alerts list', 'lifeboat alerts list --all --component database'],
  arguments: {},
  options: {
    isAll: switchOption('--all', 'also what was resolved'),
    application: textOption(
      '--application <name>',
      'only of this application (default: all that the server looks after)',
    ),
    component: textOption('--component <name>', 'only of this component'),
    limit: limitOption,
  },
  async run(context, { isAll, application, component, limit }): Promise<AlertsListData> {
    await using catalog = await context.openCatalog();
    const only = application === undefined ? undefined : [application];
    const alerts = await listAlerts(catalog, { applications: only, component, isOpen: !isAll, limit });
    return { alerts: alerts.map(alertData), applications: only ?? (await applicationsSeen(catalog)) };
  },
  render: (data, style) => (data.alerts.length === 0 ? 'no alerts' : renderAlerts(data, style)),
  exitCode({ alerts }) {
    const open = alerts.filter(({ state }) => state !== 'resolved');
    if (open.some(({ severity }) => severity === 'critical')) return 1;
    return open.length === 0 ? 0 : 3;
  },
});

function renderAlerts({ alerts, applications }: AlertsListData, style: Style): string {
  const columns = [
    { title: 'Alert' },
    { title: 'Severity' },
    { title: 'What', shrinksTo: 24 },
    { title: 'Since' },
    { title: 'State', shrinksTo: 12 },
  ];
  const isNamed = isOfSeveral(applications, alerts);
  const rows = alerts.flatMap((alert) => [
    [
      shortEnding(alert.id),
      severityWords(alert.severity, style),
      isNamed ? titleOfOne(alert) : alertTitle(alert),
      ageWords(isoTime(alert.sinceMs), style),
      alertStateWords(alert),
    ],
    ...(alert.facts[0] === undefined ? [] : [['', '', alert.facts[0].value, '', '']]),
  ]);
  return table(columns, rows, style);
}

/** `acme/database: Unprotected`. */
function titleOfOne({ application, component, title }: AlertData): string {
  return alertTitle({ component: component === null ? application : `${application}/${component}`, title });
}
