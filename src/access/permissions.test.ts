// Every role, every action, own and other applications: against a table that is written out, not computed.
import { expect, test } from 'vitest';
import { roles } from '../model/role.ts';
import { actions, applicationsFor, everywhere, may, mayAnywhere, type Action, type Principal } from './permissions.ts';

const allowed: Readonly<Record<Action, string>> = {
  read: 'viewer operator approver admin',
  'configuration.read': 'viewer operator approver admin',
  'metrics.read': 'viewer operator approver admin',
  'run.start': 'operator approver admin',
  'run.cancel': 'operator approver admin',
  'schedule.pause': 'operator approver admin',
  restore: 'operator approver admin',
  'alert.acknowledge': 'operator approver admin',
  'alert.silence': 'operator approver admin',
  'restore.approve': 'approver admin',
  'retention.release': 'approver admin',
  'audit.read': 'admin',
  'token.manage': 'admin',
  'user.manage': 'admin',
};

const somebody = (grants: Principal['grants'], scopes?: readonly Action[]): Principal => ({
  kind: 'user',
  id: '1',
  name: 'somebody',
  grants,
  scopes,
});

test('a role may do exactly what its row says, for its own application, and nothing for others or all', () => {
  for (const action of actions) {
    for (const role of roles) {
      const isAllowed = allowed[action].split(' ').includes(role);
      const own = somebody([{ application: 'shop', role }]);
      expect([action, role, may(own, action, 'shop')]).toEqual([action, role, isAllowed]);
      expect([action, role, may(own, action, 'forum'), may(own, action, everywhere)]).toEqual([
        action,
        role,
        false,
        false,
      ]);
      const all = somebody([{ application: everywhere, role }]);
      expect([action, role, may(all, action, 'forum'), may(all, action, everywhere)]).toEqual([
        action,
        role,
        isAllowed,
        isAllowed,
      ]);
    }
  }
});

test('scopes take away and never add', () => {
  for (const action of actions) {
    const admin = somebody([{ application: everywhere, role: 'admin' }], [action]);
    expect(actions.filter((other) => may(admin, other, 'shop'))).toEqual([action]);
    const viewer = somebody([{ application: 'shop', role: 'viewer' }], actions);
    expect(may(viewer, action, 'shop')).toBe(allowed[action].includes('viewer'));
  }
  expect(
    actions.some((action) => mayAnywhere(somebody([{ application: everywhere, role: 'admin' }], []), action)),
  ).toBe(false);
});

test('nobody without a grant may do anything; the strongest grant of an application counts', () => {
  expect(actions.some((action) => mayAnywhere(somebody([]), action))).toBe(false);
  const mixed = somebody([
    { application: 'shop', role: 'viewer' },
    { application: 'forum', role: 'operator' },
    { application: 'shop', role: 'approver' },
  ]);
  expect(applicationsFor(mixed, 'read')).toEqual(['shop', 'forum']);
  expect(applicationsFor(mixed, 'restore.approve')).toEqual(['shop']);
  expect(applicationsFor(mixed, 'token.manage')).toEqual([]);
  expect(applicationsFor(somebody([{ application: everywhere, role: 'viewer' }]), 'read')).toBe(everywhere);
});
