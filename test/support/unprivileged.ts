// Runs something as a user without rights, whoever runs the tests. The whole process changes its effective user, so
// nothing else of it may need rights meanwhile.

/** Debian's and most others' `nobody`. */
export const nobody = 65_534;

export const isRoot = process.geteuid?.() === 0;

/** `groups` are those the user belongs to besides its own. */
export function unprivileged<T>(act: () => T, groups: readonly number[] = []): T {
  using rights = droppedRights(groups);
  rights.drop();
  return act();
}

export async function unprivilegedAsync<T>(act: () => Promise<T>): Promise<T> {
  using rights = droppedRights([]);
  rights.drop();
  return await act();
}

function droppedRights(groups: readonly number[]) {
  const before = process.getgroups?.() ?? [];
  return {
    drop(): void {
      if (!isRoot) return;
      process.setgroups?.([...groups]);
      process.setegid?.(nobody);
      process.seteuid?.(nobody);
    },
    [Symbol.dispose](): void {
      if (!isRoot) return;
      process.seteuid?.(0);
      process.setegid?.(0);
      process.setgroups?.(before);
    },
  };
}
