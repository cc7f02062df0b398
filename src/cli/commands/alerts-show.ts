// `alerts show`: one alert, what is known of it, what to do, and who was told.
import { deliveriesOf, otherWaysOf, type AlertDeliveryRow, type Way } from '../../catalog/alert-deliveries.ts';
import { alertData, type AlertData, alertStateWords, alertTitle, requireAlert, severityWords } from '../alert-words.ts';
import { defineCommand } from '../command.ts';
import { requiredArgument } from '../option.ts';
import { shortTimeAt, wrap, type Style } from '../style.ts';
import { table } from '../table.ts';

export interface AlertsShowData {
  readonly alert: AlertData;
  readonly deliveries: readonly (Omit<AlertDeliveryRow, 'otherWays'> & { readonly otherWays: readonly Way[] })[];
}

export const alertsShowCommand = defineCommand({
  summary: 'Show an alert: what is wrong, what to do, who was told',
  examples: ['lifeboat alerts show 3f2a9c01'],
  arguments: { id: requiredArgument('<alert>', 'id of an alert, or its last characters') },
  options: {},
  async run(context, { id }): Promise<AlertsShowData> {
    await using catalog = await context.openCatalog();
    const alert = await requireAlert(catalog, id);
    const deliveries = await deliveriesOf(catalog.db, [alert.id]);
    return {
      alert: alertData(alert),
      deliveries: deliveries.map((delivery) => ({ ...delivery, otherWays: otherWaysOf(delivery) })),
    };
  },
  render: renderAlert,
});

function renderAlert({ alert, deliveries }: AlertsShowData, style: Style): string {
  const { id, application, severity, sinceMs, resolvedAtMs, hint, command } = alert;
  const facts = [
    ['alert', id],
    ['of', application],
    ['what', alertTitle(alert)],
    ['severity', severityWords(severity, style)],
    ['state', alertStateWords(alert)],
    ['since', shortTimeAt(sinceMs, style)],
    ...(resolvedAtMs === null ? [] : [['resolved', shortTimeAt(resolvedAtMs, style)]]),
  ];
  const lines = facts.map(([name = '', value = '']) => `${name.padEnd(9)}${value}`);
  for (const { name, value, objective } of alert.facts) {
    const promised = objective === undefined ? '' : ` (objective ${objective})`;
    lines.push(...wrap(`${name}: ${value}${promised}`, style.widthColumns));
  }
  if (hint !== null) lines.push(...wrap(`hint: ${hint}`, style.widthColumns));
  if (command !== null) lines.push(`run:  ${command}`);
  if (deliveries.length > 0) lines.push('', renderDeliveries(deliveries, style));
  return lines.join('\n');
}

const outcomeWords: Readonly<Record<AlertDeliveryRow['outcome'], string>> = {
  waiting: 'waits',
  accepted: 'sent',
  refused: 'FAILED',
  dropped: 'not needed any more',
};

function renderDeliveries(deliveries: AlertsShowData['deliveries'], style: Style): string {
  const columns = [
    { title: 'Told' },
    { title: 'By', shrinksTo: 8 },
    { title: 'To', shrinksTo: 10 },
    { title: 'What' },
    { title: 'How it went', shrinksTo: 20 },
  ];
  const rows = deliveries.map(({ createdAtMs, channel, address, contact, state, outcome, reason }) => [
    shortTimeAt(createdAtMs, style),
    channel,
    contact ?? address ?? '',
    state,
    reason === null ? outcomeWords[outcome] : `${outcomeWords[outcome]}: ${reason}`,
  ]);
  return table(columns, rows, style);
}
