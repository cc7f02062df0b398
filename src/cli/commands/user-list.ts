// `user list`: who may log in, and what they may do.
import type { Grant } from '../../access/permissions.ts';
import { listUsers } from '../../access/users.ts';
import { userView, type UserView } from '../../access/views.ts';
import { openAccess } from '../access-log.ts';
import { defineCommand } from '../command.ts';
import { shortTime } from '../style.ts';
import { table } from '../table.ts';

export interface UserList {
  readonly users: readonly UserView[];
}

export const userListCommand = defineCommand({
  summary: 'List users',
  examples: ['lifeboat user list'],
  arguments: {},
  options: {},
  async run(context): Promise<UserList> {
    await using access = await openAccess(context);
    return { users: (await listUsers(access.log.catalog)).map(userView) };
  },
  render({ users }, style) {
    if (users.length === 0) return 'no users';
    const columns = [
      { title: 'Name', shrinksTo: 12 },
      { title: 'Roles', shrinksTo: 16 },
      { title: 'Logs in by', shrinksTo: 10 },
      { title: 'Created' },
      { title: '' },
    ];
    const rows = users.map(({ name, grants, identities, hasPassword, createdAt, disabledAt }) => [
      name,
      grantsWords(grants),
      [...(hasPassword ? ['password'] : []), ...identities.map(({ issuer }) => issuer)].join(', '),
      shortTime(createdAt, style),
      disabledAt === undefined ? '' : style.paint('yellow', 'disabled'),
    ]);
    return table(columns, rows, style);
  },
});

/** `operator of shop, viewer of all`. */
export function grantsWords(grants: readonly Grant[]): string {
  if (grants.length === 0) return 'may do nothing';
  return grants.map(({ application, role }) => `${role} of ${application === '*' ? 'all' : application}`).join(', ');
}
