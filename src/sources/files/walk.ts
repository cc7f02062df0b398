// Walks planned paths depth first, names in byte order. Calls are synchronous: for local file systems they are several
// times cheaper than asynchronous ones, and the walk gives way to other work every few hundred entries.
import {
  type BigIntStats,
  closeSync,
  constants,
  lstatSync,
  openSync,
  readdirSync,
  readSync,
  realpathSync,
} from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import { compareNames, fsPath, nameFromBytes } from '../../base/byte-name.ts';
import { errnoOf, messageOf } from '../../base/errors.ts';
import { fileTypeOf, readMetadata, type ReadMetadataOptions } from '../../base/file-metadata.ts';
import type { FileMetadata } from '../../base/file-type.ts';
import { OwnerNames } from '../../base/owner-names.ts';
import type { Entry, EntryProblem } from '../source.ts';
import type { PathTest } from '../../base/path-patterns.ts';
import { type PlannedFolder, sortedNames } from './planned-paths.ts';

export interface WalkRules {
  readonly isExcluded: PathTest;
  readonly excludeCaches: boolean;
  readonly excludeLargerThanBytes: number;
  readonly oneFileSystem: boolean;
}

interface Walk extends WalkRules {
  /** What could not be read is added here. */
  readonly problems: EntryProblem[];
}

/** A directory being walked. */
interface Level {
  /** Its path without a closing slash; empty for `/`. */
  readonly prefix: string;
  readonly names: readonly string[];
  at: number;
  /** What was named in it or further below; absent if nothing was. */
  readonly plan: PlannedFolder | undefined;
  /** False on the way from `/` to what was named: only what leads there is taken. */
  readonly isWanted: boolean;
  /** The device that `oneFileSystem` does not leave. */
  readonly device: bigint | undefined;
}

const visitsBetweenBreaks = 256;

export async function* walkFiles(plan: PlannedFolder, walk: Walk, signal: AbortSignal): AsyncGenerator<Entry> {
  const owners = new OwnerNames();
  const levels: Level[] = [firstLevel(plan, walk)];
  let visits = 0;
  for (let level = levels.at(-1); level !== undefined; level = levels.at(-1)) {
    visits += 1;
    if (visits % visitsBetweenBreaks === 0) await setImmediate();
    signal.throwIfAborted();
    const name = level.names[level.at];
    level.at += 1;
    if (name === undefined) {
      levels.pop();
      continue;
    }
    const visit: Visit = { path: `${level.prefix}/${name}`, planned: level.plan?.children.get(name), level };
    const found = attempt(walk, visit.path, () => look(visit, owners, walk));
    if (found === undefined) continue;
    yield found.entry;
    if (found.below === undefined) continue;
    const below = attempt(walk, visit.path, found.below);
    if (below !== undefined) levels.push(below);
  }
  signal.throwIfAborted();
}

function firstLevel(plan: PlannedFolder, walk: Walk): Level {
  if (!plan.isGiven) return levelOnTheWay('', plan);
  const device = walk.oneFileSystem ? lstatSync('/', { bigint: true }).dev : undefined;
  return { prefix: '', names: listNames('/', walk), at: 0, plan, isWanted: true, device };
}

function levelOnTheWay(prefix: string, plan: PlannedFolder): Level {
  return { prefix, names: sortedNames(plan), at: 0, plan, isWanted: false, device: undefined };
}

interface Visit {
  readonly path: string;
  readonly planned: PlannedFolder | undefined;
  readonly level: Level;
}

interface Found {
  readonly entry: Entry;
  /** Of directories: lists what is in it. Called after the entry was taken. */
  readonly below: (() => Level) | undefined;
}

/** Undefined if the entry is left out. Throws what the file system says. */
function look(visit: Visit, owners: OwnerNames, walk: Walk): Found | undefined {
  const { path, planned, level } = visit;
  const onProblem = (message: string): void => void walk.problems.push({ path, message });
  const reading: ReadMetadataOptions = { owners, onProblem };
  if (planned?.isGiven === false && !level.isWanted) return lookOnTheWay(path, planned, reading);
  if (!walk.isExcluded(path)) return lookAtWanted(visit, walk, reading);
  if (planned !== undefined) onProblem('excluded by a pattern, though it or something in it was named');
  return undefined;
}

/** A folder above what was named. Links are followed here: the tree needs a directory. */
function lookOnTheWay(path: string, planned: PlannedFolder, reading: ReadMetadataOptions): Found {
  const metadata = readMetadata(nameFromBytes(realpathSync(fsPath(path), 'buffer')), undefined, reading);
  return { entry: { kind: 'whole', path, metadata }, below: () => levelOnTheWay(path, planned) };
}

function lookAtWanted({ path, planned, level }: Visit, walk: Walk, reading: ReadMetadataOptions): Found | undefined {
  const stats = lstatSync(fsPath(path), { bigint: true });
  const device = planned?.isGiven === true && walk.oneFileSystem ? stats.dev : level.device;
  const isOutside = device !== undefined && stats.dev !== device;
  if (isLeftOut(stats, isOutside, walk)) return undefined;
  const metadata = readMetadata(path, stats, reading);
  const entry = entryOf(path, metadata);
  if (metadata.type !== 'dir') return { entry, below: undefined };
  if (isOutside) return { entry, below: planned === undefined ? undefined : () => levelOnTheWay(path, planned) };
  const below = { prefix: path, at: 0, plan: planned, isWanted: true, device };
  return { entry, below: () => ({ ...below, names: listNames(path, walk) }) };
}

function isLeftOut(stats: BigIntStats, isOutside: boolean, walk: Walk): boolean {
  const type = fileTypeOf(stats);
  if (type === 'socket' || (isOutside && type !== 'dir')) return true;
  return type === 'file' && stats.size > walk.excludeLargerThanBytes;
}

function entryOf(path: string, metadata: FileMetadata): Entry {
  if (metadata.type !== 'file') return { kind: 'whole', path, metadata };
  return { kind: 'whole', path, metadata, content: { from: 'file', path } };
}

/** Runs `act`; what the file system refuses becomes a problem of that path. */
function attempt<T>(walk: Walk, path: string, act: () => T): T | undefined {
  try {
    return act();
  } catch (error) {
    const code = errnoOf(error);
    if (code === undefined || code.startsWith('ERR_')) throw error; // A fault of ours.
    walk.problems.push({ path, message: facts[code] ?? messageOf(error) });
    return undefined;
  }
}

const facts: Readonly<Record<string, string>> = {
  EACCES: 'permission denied',
  EPERM: 'permission denied',
  ENOENT: 'vanished while the folder was read',
  ENOTDIR: 'vanished while the folder was read',
  ENAMETOOLONG: 'the path is too long for this system',
};

const beyondUtf16Order = /[\ud800-\udfff]/;
const cacheTag = 'CACHEDIR.TAG';

/** Names in byte order. */
function listNames(path: string, walk: Walk): readonly string[] {
  let names = readdirSync(fsPath(path), 'utf8');
  // Node puts U+FFFD for what is not UTF-8; only then the slower list of bytes is worth reading.
  if (names.some((name) => name.includes('\ufffd'))) names = readdirSync(fsPath(path), 'buffer').map(nameFromBytes);
  if (walk.excludeCaches && names.includes(cacheTag) && isCacheTag(`${path}/${cacheTag}`)) return [cacheTag];
  // Only surrogates make the order of UTF-16 units differ from that of bytes.
  return names.some((name) => beyondUtf16Order.test(name)) ? names.toSorted(compareNames) : names.toSorted();
}

const signature = 'Signature: 8a477f597d28d172789f06886806bc55';

function isCacheTag(path: string): boolean {
  let file: number | undefined;
  try {
    file = openSync(fsPath(path), constants.O_RDONLY | constants.O_NONBLOCK); // A fifo of that name must not hold us up.
    const bytes = Buffer.alloc(signature.length);
    return readSync(file, bytes) === bytes.length && bytes.toString('latin1') === signature;
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return false; // What can't be read marks nothing.
  } finally {
    if (file !== undefined) closeSync(file);
  }
}
