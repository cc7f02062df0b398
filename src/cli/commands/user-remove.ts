// `user remove`: gone with roles, identities and sessions; what they did stays in the audit log.
import { userNameSchema } from '../../access/schemas.ts';
import { findUser, removeUser } from '../../access/users.ts';
import { AppError } from '../../base/errors.ts';
import { openAccess, typed } from '../access-log.ts';
import { defineCommand } from '../command.ts';
import { requireConsent } from '../confirmation.ts';
import { requiredArgument, switchOption } from '../option.ts';
import { grantsWords } from './user-list.ts';

export interface RemovedUser {
  readonly name: string;
  readonly roles: string;
  readonly isDryRun: boolean;
}

export const userRemoveCommand = defineCommand({
  summary: 'Remove a user',
  examples: ['lifeboat user remove bob --dry-run', 'lifeboat user remove bob --yes'],
  arguments: { name: requiredArgument('<name>', 'the user') },
  options: {
    isDryRun: switchOption('--dry-run', 'show who would be removed, and do nothing'),
    isConfirmed: switchOption('--yes', 'remove without asking'),
  },
  async run(context, { name: word, isDryRun, isConfirmed }): Promise<RemovedUser> {
    const name = typed(userNameSchema, word, 'name');
    await using access = await openAccess(context);
    const user = await findUser(access.log.catalog, { name });
    if (user === undefined) {
      const hint = "See 'lifeboat user list' for those there are.";
      throw new AppError('NOT_FOUND', `there is no user ${name}`, { hint });
    }
    const roles = grantsWords(user.grants);
    if (isDryRun) return { name, roles, isDryRun };
    await requireConsent(context, `remove user ${name} (${roles})`, isConfirmed);
    await removeUser(access.log, { name }, access.actor);
    return { name, roles, isDryRun };
  },
  render: ({ name, roles, isDryRun }) =>
    isDryRun ? `would remove user ${name} (${roles}); nothing was done: --dry-run` : `removed user ${name}`,
});
