// Snapshots: a pointer to a root tree and what was backed up when. Fields and their omission as restic writes them.
import { z } from 'zod';
import { AppError, isAppError } from '../base/errors.ts';
import { forEachLimited } from '../base/for-each-limited.ts';
import { chunkerNames } from './create-chunker.ts';
import { parseTime } from './go-text.ts';
import { isId, type BlobId, type SnapshotId } from './ids.ts';
import { journalStretchSchema } from './journal/place.ts';
import { fileName } from './layout.ts';
import { damaged, listIds, loadJson, saveJson, type Repository } from './repository.ts';

const id = z.string().regex(/^[0-9a-f]{64}$/);
const snapshotId = id.transform((text) => text as SnapshotId);
const time = z.string().refine((text) => {
  parseTime(text);
  return true;
});

/** What restic since 0.17 tells of a backup run; sizes in bytes. */
export interface SnapshotSummary {
  readonly backup_start: string;
  readonly backup_end: string;
  readonly files_new: number;
  readonly files_changed: number;
  readonly files_unmodified: number;
  readonly dirs_new: number;
  readonly dirs_changed: number;
  readonly dirs_unmodified: number;
  readonly data_blobs: number;
  readonly tree_blobs: number;
  /** Before compression. */
  readonly data_added: number;
  /** As stored. */
  readonly data_added_packed: number;
  readonly total_files_processed: number;
  readonly total_bytes_processed: number;
}

/** Fields that only Lifeboat knows; restic ignores them, and drops them when it rewrites a snapshot. */
const ours = z.looseObject({
  component: z.string().optional(),
  source: z.string().optional(),
  chunker: z.enum(chunkerNames).optional(),
  /** Which stretch of which journal it needs to be consistent; more of that journal leads to later instants. */
  journal: journalStretchSchema.optional(),
});

const snapshotSchema = z.looseObject({
  time,
  parent: snapshotId.optional(),
  tree: id.transform((text) => text as BlobId),
  paths: z
    .array(z.string())
    .nullish()
    .transform((paths) => paths ?? []),
  hostname: z.string().default(''),
  username: z.string().default(''),
  uid: z.number().default(0),
  gid: z.number().default(0),
  excludes: z
    .array(z.string())
    .nullish()
    .transform((list) => list ?? []),
  tags: z
    .array(z.string())
    .nullish()
    .transform((list) => list ?? []),
  original: snapshotId.optional(),
  program_version: z.string().default(''),
  description: z.string().optional(),
  lifeboat: ours.optional(),
});

export interface Snapshot {
  readonly time: string;
  readonly parent?: SnapshotId | undefined;
  readonly tree: BlobId;
  readonly paths: readonly string[];
  readonly hostname: string;
  readonly username: string;
  readonly uid: number;
  readonly gid: number;
  readonly excludes: readonly string[];
  readonly tags: readonly string[];
  readonly original?: SnapshotId | undefined;
  readonly program_version: string;
  readonly description?: string | undefined;
  readonly lifeboat?: z.infer<typeof ours> | undefined;
  /** `summary` and fields of programs to come, kept when a snapshot is rewritten. */
  readonly [later: string]: unknown;
}

export interface StoredSnapshot extends Snapshot {
  readonly id: SnapshotId;
}

/** What was stored, for writing it again under a new id. */
export function withoutId(stored: StoredSnapshot): Snapshot {
  const snapshot: Snapshot & { id?: SnapshotId } = { ...stored };
  delete snapshot.id;
  return snapshot;
}

/** restic's own fields, in its order. */
const resticFields = 'time parent tree paths hostname username uid gid excludes tags original program_version'.split(
  ' ',
);
/** Written even when they are empty. */
const requiredFields = new Set(['time', 'tree', 'paths']);

function withoutEmpty(snapshot: Snapshot): Record<string, unknown> {
  const isWritten = (name: string): boolean => {
    const value = snapshot[name];
    const isEmpty = value === undefined || value === '' || value === 0 || (Array.isArray(value) && value.length === 0);
    return requiredFields.has(name) || !isEmpty;
  };
  const later = Object.entries(snapshot).filter(([name]) => !resticFields.includes(name));
  return Object.fromEntries([
    ...resticFields.filter(isWritten).map((name) => [name, snapshot[name]] as const),
    ...later,
  ]);
}

export function encodeSnapshot(snapshot: Snapshot): string {
  return JSON.stringify(withoutEmpty(snapshot));
}

/** Throws on anything that is not a snapshot. */
export function decodeSnapshot(json: string): Snapshot {
  return snapshotSchema.parse(JSON.parse(json));
}

export async function loadSnapshot(
  repository: Repository,
  snapshot: SnapshotId,
  signal: AbortSignal,
): Promise<StoredSnapshot> {
  const json = await loadJson(repository, { kind: 'snapshots', id: snapshot }, signal);
  try {
    return { ...decodeSnapshot(json), id: snapshot };
  } catch (error) {
    throw damaged(fileName('snapshots', snapshot), error);
  }
}

export async function saveSnapshot(
  repository: Repository,
  snapshot: Snapshot,
  signal: AbortSignal,
): Promise<StoredSnapshot> {
  const stored = await saveJson(repository, { kind: 'snapshots', json: encodeSnapshot(snapshot) }, signal);
  return { ...snapshot, id: stored };
}

/** All snapshots, oldest first. Without `onDamaged` any unreadable one rejects: whoever deletes must know of all. */
export async function loadSnapshots(
  repository: Repository,
  signal: AbortSignal,
  /** Whoever only adds may go on without one that is damaged. */
  onDamaged?: (id: SnapshotId, error: AppError) => void,
): Promise<StoredSnapshot[]> {
  const snapshots: StoredSnapshot[] = [];
  const ids = await listIds(repository, 'snapshots', signal);
  await forEachLimited(ids, repository.store.properties.connectionsMax, async (each) => {
    try {
      snapshots.push(await loadSnapshot(repository, each, signal));
    } catch (error) {
      if (onDamaged === undefined || !isAppError(error, 'REPOSITORY_DAMAGED')) throw error;
      onDamaged(each, error);
    }
  });
  const byTime = (left: StoredSnapshot, right: StoredSnapshot): number => {
    const difference = parseTime(left.time) - parseTime(right.time);
    return difference === 0n ? (left.id < right.id ? -1 : 1) : difference < 0n ? -1 : 1;
  };
  return snapshots.toSorted(byTime);
}

/** The id that begins with `prefix`; rejects with `NOT_FOUND` or `AMBIGUOUS`. */
export async function resolveSnapshotId(
  repository: Repository,
  prefix: string,
  signal: AbortSignal,
): Promise<SnapshotId> {
  const ids = await listIds(repository, 'snapshots', signal);
  const fitting = isId(prefix)
    ? ids.filter((each) => each === prefix)
    : ids.filter((each) => /^[0-9a-f]+$/.test(prefix) && each.startsWith(prefix));
  if (fitting.length === 1 && fitting[0] !== undefined) return fitting[0];
  if (fitting.length > 1) {
    throw new AppError('AMBIGUOUS', `'${prefix}' fits ${fitting.length} snapshots`, {
      hint: 'Give more digits of the id.',
    });
  }
  throw new AppError('NOT_FOUND', `there is no snapshot '${prefix}'`, { hint: "List them with 'lifeboat snapshots'." });
}
