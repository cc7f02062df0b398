// `alerts acknowledge`: somebody takes care of an alert.
import { answerAlert } from '../../service/alert-answers.ts';
import { openAccess } from '../access-log.ts';
import { alertTitle, requireAlert } from '../alert-words.ts';
import { defineCommand } from '../command.ts';
import { requiredArgument } from '../option.ts';

export const alertsAcknowledgeCommand = defineCommand({
  summary: 'Say that you take care of an alert',
  details: 'Those who were told hear of it; nobody else is told, unless it gets worse.',
  examples: ['lifeboat alerts acknowledge 3f2a9c01'],
  arguments: { text: requiredArgument('<alert>', 'id of an alert, or its last characters') },
  options: {},
  async run(context, { text }) {
    await using access = await openAccess(context);
    const { id } = await requireAlert(access.log.catalog, text);
    const { component, title } = await answerAlert(access.log, { id, state: 'acknowledged', actor: access.actor });
    return { id, component, title, state: 'acknowledged' };
  },
  render: (alert) => `acknowledged: ${alertTitle(alert)}`,
});
