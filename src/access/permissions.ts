// Who may do what: one table of actions, and one function that reads it.
import { AppError } from '../base/errors.ts';
import { roles, type Role } from '../model/role.ts';

/** The least role for each action. */
export const actionTable = {
  /** Runs, recovery points, status, probes, schedules. */
  read: 'viewer',
  'configuration.read': 'viewer',
  /** Numbers alone, for monitoring: of components, repositories, runs, schedules. */
  'metrics.read': 'viewer',
  'run.start': 'operator',
  'run.cancel': 'operator',
  'schedule.pause': 'operator',
  /** Asks for one; where an approval is wanted, it waits for it. */
  restore: 'operator',
  'alert.acknowledge': 'operator',
  'alert.silence': 'operator',
  'restore.approve': 'approver',
  /** Lets retention go on that an anomaly froze. */
  'retention.release': 'approver',
  'audit.read': 'admin',
  'token.manage': 'admin',
  'user.manage': 'admin',
} as const satisfies Record<string, Role>;

export type Action = keyof typeof actionTable;
export const actions = Object.keys(actionTable) as Action[];

/** Stands for every application, and for what belongs to none. */
export const everywhere = '*';

export interface Grant {
  /** A name, or `*`. */
  readonly application: string;
  readonly role: Role;
}

/** Somebody who was recognised, with all that decides what they may do. */
export interface Principal {
  readonly kind: 'user' | 'token' | 'machine';
  readonly id: string;
  readonly name: string;
  readonly grants: readonly Grant[];
  /** Only these actions; all if absent. */
  readonly scopes?: readonly Action[] | undefined;
  /** When they are nobody any more; never by themselves if absent. */
  readonly endsAtMs?: number | undefined;
}

/** `application` is a name, or `*` for what concerns all of them or the server itself. */
export function may({ grants, scopes }: Principal, action: Action, application: string): boolean {
  if (scopes !== undefined && !scopes.includes(action)) return false;
  const least = roles.indexOf(actionTable[action]);
  return grants.some(
    (grant) =>
      (grant.application === everywhere || grant.application === application) && roles.indexOf(grant.role) >= least,
  );
}

/** Throws with the code where one of these actions needs another role: a token that has both could not do it. */
export function refuseBeyondRole(role: Role, scopes: readonly Action[], code: 'USAGE' | 'REQUEST_INVALID'): void {
  const action = scopes.find((one) => roles.indexOf(actionTable[one]) > roles.indexOf(role));
  if (action === undefined) return;
  const least = actionTable[action];
  throw new AppError(code, `a ${role} may not ${action}: the token could not do it`, {
    hint: `Leave the scope out, or give the role ${least} (--role ${least}).`,
  });
}

/** Whether they may do all that somebody with these roles may: who may not do it must not let others do it for them. */
export function mayHandOn(principal: Principal, grants: readonly Grant[]): boolean {
  return grants.every(({ application, role }) =>
    actions
      .filter((action) => roles.indexOf(actionTable[action]) <= roles.indexOf(role))
      .every((action) => may(principal, action, application)),
  );
}

/** The applications for which they may do it: names, or `*` for all. */
export function applicationsFor(principal: Principal, action: Action): readonly string[] | typeof everywhere {
  if (may(principal, action, everywhere)) return everywhere;
  return [...new Set(principal.grants.map(({ application }) => application))].filter((application) =>
    may(principal, action, application),
  );
}

/** Whether they may do it for anything at all. */
export function mayAnywhere(principal: Principal, action: Action): boolean {
  return applicationsFor(principal, action).length > 0;
}
