// `user set-password`: a new one, by an administrator; whoever was logged in is out.
import { userNameSchema } from '../../access/schemas.ts';
import { setPassword } from '../../access/users.ts';
import { openAccess, typed } from '../access-log.ts';
import { defineCommand } from '../command.ts';
import { newPassword } from '../new-password.ts';
import { requiredArgument, textOption } from '../option.ts';

export const userSetPasswordCommand = defineCommand({
  summary: 'Set a new password for a user',
  details: 'All sessions of the user end.',
  examples: ['lifeboat user set-password alice', 'lifeboat user set-password alice --new-password-file -'],
  arguments: { name: requiredArgument('<name>', 'the user') },
  options: {
    newPasswordFile: textOption('--new-password-file <path>', 'file that holds it, or - for standard input'),
  },
  async run(context, { name, newPasswordFile }): Promise<{ readonly name: string }> {
    const userName = typed(userNameSchema, name, 'name');
    const password = await newPassword(context, newPasswordFile);
    await using access = await openAccess(context);
    await setPassword(access.log, { name: userName }, { password, actor: access.actor });
    return { name: userName };
  },
  render: ({ name }) => `user ${name} has a new password`,
});
