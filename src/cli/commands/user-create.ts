// `user create`: somebody who may log in.
import { roles } from '../../model/role.ts';
import { applicationsSchema, userNameSchema } from '../../access/schemas.ts';
import { createUser } from '../../access/users.ts';
import { userView, type UserView } from '../../access/views.ts';
import { AppError } from '../../base/errors.ts';
import { applicationsOrAll, openAccess, typed } from '../access-log.ts';
import { defineCommand } from '../command.ts';
import { newPassword } from '../new-password.ts';
import { choiceOption, listOption, requiredArgument, textOption } from '../option.ts';
import { grantsWords } from './user-list.ts';

export const userCreateCommand = defineCommand({
  summary: 'Create a user of API and dashboard',
  details:
    'The password is asked for on a terminal, or read from a file or (with -) from standard input. One who logs in through an OpenID provider needs none: name the provider and how it calls them.',
  examples: [
    'lifeboat user create alice --role admin',
    'lifeboat user create bob --application shop --new-password-file ./bob',
    'lifeboat user create carol --issuer https://id.example.com --subject 8f14',
  ],
  arguments: { name: requiredArgument('<name>', 'how they log in') },
  options: {
    role: choiceOption('--role <role>', 'what they may do; viewer if absent', roles),
    applications: listOption('--application <name>', 'an application for which they may, all if absent'),
    newPasswordFile: textOption('--new-password-file <path>', 'file that holds the password, or - for standard input'),
    issuer: textOption('--issuer <url>', 'the provider through which they log in'),
    subject: textOption('--subject <id>', 'how the provider calls them (the claim sub)'),
  },
  async run(context, { name, role = 'viewer', applications, newPasswordFile, issuer, subject }): Promise<UserView> {
    if ((issuer === undefined) !== (subject === undefined)) {
      throw new AppError('USAGE', 'an identity needs an issuer and a subject', {
        hint: 'Give --issuer and --subject together.',
      });
    }
    const userName = typed(userNameSchema, name, 'name');
    const names = typed(applicationsSchema, applicationsOrAll(applications), '--application');
    const identity = issuer === undefined || subject === undefined ? undefined : { issuer, subject };
    const needsPassword = identity === undefined || newPasswordFile !== undefined;
    const password = needsPassword ? await newPassword(context, newPasswordFile) : undefined;
    const grants = names.map((application) => ({ application, role }));
    await using access = await openAccess(context);
    return userView(await createUser(access.log, { name: userName, grants, password, identity }, access.actor));
  },
  render: ({ name, grants }) => `created user ${name}: ${grantsWords(grants)}`,
});
