// `alerts resolve`: somebody says that an alert is done with.
import { answerAlert } from '../../service/alert-answers.ts';
import { openAccess } from '../access-log.ts';
import { alertTitle, requireAlert } from '../alert-words.ts';
import { defineCommand } from '../command.ts';
import { requiredArgument } from '../option.ts';

export const alertsResolveCommand = defineCommand({
  summary: 'Say that an alert is done with',
  details:
    'Nobody is told of it any more while it lasts, unless it gets worse. What passes by itself is resolved by itself.',
  examples: ['lifeboat alerts resolve 3f2a9c01'],
  arguments: { text: requiredArgument('<alert>', 'id of an alert, or its last characters') },
  options: {},
  async run(context, { text }) {
    await using access = await openAccess(context);
    const { id } = await requireAlert(access.log.catalog, text);
    const { component, title } = await answerAlert(access.log, { id, state: 'resolved', actor: access.actor });
    return { id, component, title, state: 'resolved' };
  },
  render: (alert) => `resolved: ${alertTitle(alert)}`,
});
