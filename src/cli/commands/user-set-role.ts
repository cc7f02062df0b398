// `user set-role`: what a user may do, for all applications or for some.
import type { Grant } from '../../access/permissions.ts';
import { roles } from '../../model/role.ts';
import { applicationsSchema, userNameSchema } from '../../access/schemas.ts';
import { findUser, setGrants } from '../../access/users.ts';
import { AppError } from '../../base/errors.ts';
import { applicationsOrAll, openAccess, typed } from '../access-log.ts';
import { defineCommand } from '../command.ts';
import { listOption, requiredArgument } from '../option.ts';
import { grantsWords } from './user-list.ts';

export interface ChangedRoles {
  readonly name: string;
  readonly grants: readonly Grant[];
}

const none = 'none';

export const userSetRoleCommand = defineCommand({
  summary: 'Change what a user may do',
  details: `Roles for other applications stay as they are. '${none}' without --application takes all of them.`,
  examples: ['lifeboat user set-role bob approver --application shop', 'lifeboat user set-role bob none'],
  arguments: {
    name: requiredArgument('<name>', 'the user'),
    role: requiredArgument('<role>', `${roles.join(', ')}, or ${none}`),
  },
  options: {
    applications: listOption('--application <name>', 'an application for which it holds, * for all if absent'),
  },
  async run(context, { name, role: word, applications }): Promise<ChangedRoles> {
    const role = roles.find((known) => known === word);
    if (role === undefined && word !== none) {
      const hint = `Use ${roles.join(', ')}, or ${none}.`;
      throw new AppError('USAGE', `'${word}' is no role`, { hint });
    }
    const userName = typed(userNameSchema, name, 'name');
    const names = typed(applicationsSchema, applicationsOrAll(applications), '--application');
    await using access = await openAccess(context);
    const before = (await findUser(access.log.catalog, { name: userName }))?.grants ?? [];
    const isAll = role === undefined && applications.length === 0;
    const others = isAll ? [] : before.filter(({ application }) => !names.includes(application));
    const own = role === undefined ? [] : names.map((application) => ({ application, role }));
    const grants = [...others, ...own];
    await setGrants(access.log, { name: userName }, { grants, actor: access.actor });
    return { name: userName, grants };
  },
  render: ({ name, grants }) => `user ${name}: ${grantsWords(grants)}`,
});
