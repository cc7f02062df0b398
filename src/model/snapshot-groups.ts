// Retention works on groups of snapshots: by default those of the same host and paths, which is one component.

export interface GroupableSnapshot {
  readonly hostname: string;
  readonly paths: readonly string[];
  readonly tags: readonly string[];
}

export type GroupField = 'host' | 'paths' | 'tags';

export interface SnapshotGroup<Snapshot> {
  /** What its snapshots share; absent where the groups do not go by it. Paths and tags in order. */
  readonly host: string | undefined;
  readonly paths: readonly string[] | undefined;
  readonly tags: readonly string[] | undefined;
  readonly snapshots: readonly Snapshot[];
}

const groupFieldsDefault: ReadonlySet<GroupField> = new Set(['host', 'paths']);

/** Groups in the order in which their first snapshot comes; the order of paths and tags in a snapshot does not matter. */
export function groupSnapshots<Snapshot extends GroupableSnapshot>(
  snapshots: readonly Snapshot[],
  by: ReadonlySet<GroupField> = groupFieldsDefault,
): SnapshotGroup<Snapshot>[] {
  const groups = Map.groupBy(snapshots, (snapshot) => JSON.stringify(sharedOf(snapshot, by)));
  return [...groups.values()].flatMap((members) =>
    members[0] === undefined ? [] : [{ ...sharedOf(members[0], by), snapshots: members }],
  );
}

function sharedOf(
  { hostname, paths, tags }: GroupableSnapshot,
  by: ReadonlySet<GroupField>,
): Omit<SnapshotGroup<never>, 'snapshots'> {
  return {
    host: by.has('host') ? hostname : undefined,
    paths: by.has('paths') ? paths.toSorted() : undefined,
    tags: by.has('tags') ? tags.toSorted() : undefined,
  };
}
