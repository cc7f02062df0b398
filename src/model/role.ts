// What people and programs may be to an application. Each may do what those before it may.
export const roles = ['viewer', 'operator', 'approver', 'admin'] as const;
export type Role = (typeof roles)[number];
