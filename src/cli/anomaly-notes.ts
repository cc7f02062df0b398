// What a repository knows of backups that were unlike those before them: sealed notes about root trees. They lie where retention looks,
// so that it leaves such components alone on whatever machine it runs, with a server or without.
import { AppError } from '../base/errors.ts';
import {
  anomaliesOf,
  anomalyNoteSchema,
  earlierMin,
  type AnomalyNote,
  type BackupMeasures,
  type FoundAnomaly,
  type RowCounts,
} from '../model/anomaly.ts';
import { groupSnapshots } from '../model/snapshot-groups.ts';
import { componentOf } from '../operations/restore/select-point.ts';
import type { BlobIndex } from '../repository/blob-index.ts';
import { readNotes, writeNote, type ReadNotes } from '../repository/note.ts';
import type { Repository } from '../repository/repository.ts';
import { loadSnapshots, type StoredSnapshot } from '../repository/snapshot.ts';
import { summaryNumber, summaryTimeMs } from '../repository/snapshot-summary.ts';
import { RowCountsReader } from './row-counts.ts';

const purpose = 'anomaly';
/** Judged each time: one before it may have been interrupted when it was stored, and not judged yet. */
const judgedMax = 3;
/** Of so many earlier ones the rows are counted: each is a file to be read. */
const countedMax = earlierMin + 1;

export interface Anomaly extends FoundAnomaly {
  readonly tree: string;
  readonly accepted: { readonly time: string; readonly by: string } | undefined;
}

interface KnownAnomalies {
  /** By root tree. */
  readonly anomalies: ReadonlyMap<string, Anomaly>;
  readonly problems: ReadNotes['problems'];
}

/** Oldest first. What was found of snapshots that are gone is among them. */
export async function loadAnomalies(repository: Repository, signal: AbortSignal): Promise<KnownAnomalies> {
  const { notes, problems } = await readNotes(repository, { purpose }, signal);
  const read = notes.flatMap(({ subject: tree, json }) => {
    const parsed = anomalyNoteSchema.safeParse(json);
    return parsed.success ? [{ tree, note: parsed.data }] : [];
  });
  const anomalies = new Map<string, Anomaly>();
  for (const { tree, note } of read) {
    if (note.kind === 'found') anomalies.set(tree, { ...note, tree, accepted: undefined });
  }
  for (const { tree, note } of read) {
    const found = anomalies.get(tree);
    if (note.kind === 'accepted' && found !== undefined)
      anomalies.set(tree, { ...found, accepted: { time: note.time, by: note.by } });
  }
  return { anomalies, problems };
}

/** Those that nobody has accepted, of snapshots that are still there. */
export function openAnomalies(
  anomalies: ReadonlyMap<string, Anomaly>,
  snapshots: readonly Pick<StoredSnapshot, 'tree'>[],
): Anomaly[] {
  const trees = new Set<string>(snapshots.map(({ tree }) => tree));
  return [...anomalies.values()].filter(({ tree, accepted }) => accepted === undefined && trees.has(tree));
}

/** For whoever deletes: a note that can't be read may be the one that says to keep. Rejects with `REPOSITORY_DAMAGED`. */
export async function anomaliesForSure(
  repository: Repository,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, Anomaly>> {
  const { anomalies, problems } = await loadAnomalies(repository, signal);
  const [first] = problems;
  if (first === undefined) return anomalies;
  const { location } = repository.store.properties;
  throw new AppError(
    'REPOSITORY_DAMAGED',
    `the note on an odd backup in file ${first.name} of ${location} can't be read: ${first.message}`,
    {
      hint: 'Nothing was deleted, as it may say to keep what is there. Look at the newest backups, then remove the file.',
    },
  );
}

/** Compares the newest backups with those before, and keeps what is odd. Returns what was not known before. `index`: as it was read already. */
export async function judgeBackups(
  repository: Repository,
  {
    component,
    host,
    index,
  }: {
    readonly component?: string | undefined;
    readonly host?: string | undefined;
    readonly index?: BlobIndex | undefined;
  },
  signal: AbortSignal,
): Promise<Anomaly[]> {
  const all = await loadSnapshots(repository, signal);
  const { anomalies } = await loadAnomalies(repository, signal);
  const known = new Map(anomalies);
  const fresh: Anomaly[] = [];
  await using counts = new RowCountsReader(repository, index);
  const groups = Map.groupBy(all, componentOf);
  for (const [name, own] of groups) {
    if (name === undefined || (component !== undefined && component !== name)) continue;
    for (const group of groupSnapshots(own)) {
      if (host !== undefined && group.host !== host) continue;
      const rowsOf = (snapshot: StoredSnapshot): Promise<RowCounts | undefined> => counts.of(snapshot, signal);
      for (const anomaly of await judgeSeries(name, group.snapshots, { known, rowsOf })) {
        const { tree, accepted: _, ...note } = anomaly;
        await saveNote(repository, { tree, note }, signal);
        fresh.push(anomaly);
      }
    }
  }
  return fresh;
}

export async function acceptAnomaly(
  repository: Repository,
  { tree, time, by }: { readonly tree: string; readonly time: string; readonly by: string },
  signal: AbortSignal,
): Promise<void> {
  await saveNote(repository, { tree, note: { version: 1, kind: 'accepted', time, by } }, signal);
}

async function saveNote(
  repository: Repository,
  { tree, note }: { readonly tree: string; readonly note: AnomalyNote },
  signal: AbortSignal,
): Promise<void> {
  const json = JSON.parse(JSON.stringify(note)) as Parameters<typeof writeNote>[1]['json'];
  await writeNote(repository, { purpose, subject: tree, json }, signal);
}

interface Measured {
  readonly snapshot: StoredSnapshot;
  readonly measures: BackupMeasures;
}

interface Knowledge {
  readonly known: Map<string, Anomaly>;
  readonly rowsOf: (snapshot: StoredSnapshot) => Promise<RowCounts | undefined>;
}

/** Adds to `known` what it finds: the next one is not compared with it. */
async function judgeSeries(
  component: string,
  snapshots: readonly StoredSnapshot[],
  { known, rowsOf }: Knowledge,
): Promise<Anomaly[]> {
  const withRows = async ({ snapshot, measures }: Measured): Promise<BackupMeasures> => ({
    ...measures,
    rows: await rowsOf(snapshot),
  });
  const series = snapshots
    .toSorted((left, right) => timeMsOf(left) - timeMsOf(right))
    .flatMap((snapshot): Measured[] => {
      const measures = measuresOf(snapshot);
      return measures === undefined ? [] : [{ snapshot, measures }];
    });
  const fresh: Anomaly[] = [];
  for (let index = Math.max(0, series.length - judgedMax); index < series.length; index += 1) {
    const one = series[index];
    if (one === undefined || known.has(one.snapshot.tree)) continue;
    const isUsual = ({ snapshot }: Measured): boolean => {
      const found = known.get(snapshot.tree);
      return found === undefined || found.accepted !== undefined;
    };
    const earlier = series.slice(0, index).filter(isUsual);
    const before = series[index - 1];
    if (earlier.length < earlierMin || before === undefined) continue;
    const counted: BackupMeasures[] = [];
    for (const each of earlier.slice(-countedMax)) counted.push(await withRows(each));
    const facts = anomaliesOf(await withRows(one), {
      earlier: [...earlier.slice(0, -countedMax).map(({ measures }) => measures), ...counted],
      before: await withRows(before),
    });
    if (facts.length === 0) continue;
    const { id: snapshot, tree, time } = one.snapshot;
    const anomaly: Anomaly = { version: 1, kind: 'found', component, snapshot, tree, time, facts, accepted: undefined };
    known.set(tree, anomaly);
    fresh.push(anomaly);
  }
  return fresh;
}

const timeMsOf = ({ time }: StoredSnapshot): number => Temporal.Instant.from(time).epochMilliseconds;

/** Undefined where the snapshot does not tell: other programs write less. */
function measuresOf(snapshot: StoredSnapshot): BackupMeasures | undefined {
  const filesChanged = summaryNumber(snapshot, 'files_changed');
  const filesUnmodified = summaryNumber(snapshot, 'files_unmodified');
  const files = summaryNumber(snapshot, 'total_files_processed');
  const bytes = summaryNumber(snapshot, 'total_bytes_processed');
  const addedBytes = summaryNumber(snapshot, 'data_added');
  const storedBytes = summaryNumber(snapshot, 'data_added_packed');
  const [startMs, endMs] = [summaryTimeMs(snapshot, 'backup_start'), summaryTimeMs(snapshot, 'backup_end')];
  if (filesChanged === undefined || filesUnmodified === undefined || files === undefined) return undefined;
  if (bytes === undefined || addedBytes === undefined || storedBytes === undefined) return undefined;
  if (startMs === undefined || endMs === undefined) return undefined;
  const elapsedMs = Math.max(0, endMs - startMs);
  const hasParent = snapshot.parent !== undefined;
  return { hasParent, filesChanged, filesUnmodified, files, bytes, addedBytes, storedBytes, elapsedMs };
}
