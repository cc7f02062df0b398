// `alerts unsilence`: people are told again.
import { liftSilence } from '../../service/alert-answers.ts';
import { openAccess } from '../access-log.ts';
import { defineCommand } from '../command.ts';
import { requiredArgument } from '../option.ts';

export const alertsUnsilenceCommand = defineCommand({
  summary: 'End a silence',
  examples: ['lifeboat alerts unsilence 3f2a9c01'],
  arguments: { text: requiredArgument('<silence>', 'id of a silence, or its last characters') },
  options: {},
  async run(context, { text }) {
    await using access = await openAccess(context);
    const { id, application, component, subject } = await liftSilence(access.log, text, access.actor);
    return { id, application, component, subject };
  },
  render: ({ application, component, subject }) => `people are told of ${component ?? subject ?? application} again`,
});
