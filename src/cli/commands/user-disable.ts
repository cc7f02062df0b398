// `user disable`: out at once, and back with --undo.
import { userNameSchema } from '../../access/schemas.ts';
import { setDisabled } from '../../access/users.ts';
import { openAccess, typed } from '../access-log.ts';
import { defineCommand } from '../command.ts';
import { requiredArgument, switchOption } from '../option.ts';

export interface DisabledUser {
  readonly name: string;
  readonly isDisabled: boolean;
}

export const userDisableCommand = defineCommand({
  summary: 'Shut a user out, or let one in again',
  details: 'All sessions of the user end. Tokens that the user made stay valid.',
  examples: ['lifeboat user disable bob', 'lifeboat user disable bob --undo'],
  arguments: { name: requiredArgument('<name>', 'the user') },
  options: { undo: switchOption('--undo', 'let the user in again') },
  async run(context, { name, undo }): Promise<DisabledUser> {
    const userName = typed(userNameSchema, name, 'name');
    await using access = await openAccess(context);
    await setDisabled(access.log, { name: userName }, { isDisabled: !undo, actor: access.actor });
    return { name: userName, isDisabled: !undo };
  },
  render: ({ name, isDisabled }) => `user ${name} is ${isDisabled ? 'disabled' : 'enabled'}`,
});
