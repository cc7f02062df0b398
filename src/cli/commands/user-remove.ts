// `user remove`: gone with roles, identities and sessions; what they did stays in the audit log.
import { userNameSchema } from '../../access/schemas.ts';
import { removeUser } from '../../access/users.ts';
import { openAccess, typed } from '../access-log.ts';
import { defineCommand } from '../command.ts';
import { requireConsent } from '../confirmation.ts';
import { requiredArgument, switchOption } from '../option.ts';

export const userRemoveCommand = defineCommand({
  summary: 'Remove a user',
  examples: ['lifeboat user remove bob --yes'],
  arguments: { name: requiredArgument('<name>', 'the user') },
  options: { isConfirmed: switchOption('--yes', 'remove without asking') },
  async run(context, { name, isConfirmed }): Promise<{ readonly name: string }> {
    const userName = typed(userNameSchema, name, 'name');
    await requireConsent(context, `remove user ${userName}`, isConfirmed);
    await using access = await openAccess(context);
    await removeUser(access.log, { name: userName }, access.actor);
    return { name: userName };
  },
  render: ({ name }) => `removed user ${name}`,
});
