// The store in a folder of the local (or a mounted) file system, laid out as restic lays it out.
import assert from 'node:assert/strict';
import { readdir, stat as statFile, unlink } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { type AppError, errnoOf } from '../../base/errors.ts';
import { systemRandom, type Random } from '../../base/random.ts';
import { isUnfinished, syncFolder, writeAtomically } from '../atomic-write.ts';
import { objectMissing, storeErrorOfFile } from '../file-errors.ts';
import { throwIfAborted } from '../interruption.ts';
import { readRange } from '../read-range.ts';
import type { ObjectInfo, Store } from '../store.ts';
import { durableFolders } from './durable-folders.ts';
import { presenceOf, type Presence } from './presence.ts';

export interface LocalStoreOptions {
  /** Names unfinished files. */
  readonly random?: Random;
  /** Calls at once that make sense; 2 if absent, more for a mounted network file system. */
  readonly connectionsMax?: number;
}

/** Folders below the root that a listing enters; a repository needs three, a link that leads in a circle has no end. */
const depthMax = 16;
/** Files looked at together: enough to hide the latency of a network file system. */
const statsAtOnce = 64;
/** What the file system says where there is no file of that name, but perhaps a folder or a shorter name. */
const configName = 'config';
const noObject = ['ENOENT', 'ENOTDIR', 'EISDIR'];

/** Opens the folder `path`, which is made by the first `put`. */
export function localStore(path: string, options: LocalStoreOptions = {}): Store {
  const root = resolve(path);
  const { random = systemRandom, connectionsMax = 2 } = options;
  const presence = presenceOf(root);
  const put = putInto(root, { random, presence });
  return {
    properties: { location: root, connectionsMax, isRemote: false },

    async get(name, { offset = 0, length, into, signal } = {}) {
      throwIfAborted(signal);
      const source = pathOf(root, name);
      try {
        const bytes = await readRange(source, { offset, length, into, signal });
        if (name === configName) presence.note();
        return bytes;
      } catch (error) {
        throw await readError(error, { root, name, work: 'read', presence });
      }
    },

    put,

    async stat(name, { signal } = {}) {
      throwIfAborted(signal);
      const source = pathOf(root, name);
      try {
        const found = await statFile(source);
        if (!found.isFile()) throw objectMissing(name, root);
        return { name, sizeBytes: found.size };
      } catch (error) {
        throw await readError(error, { root, name, work: 'look at', presence });
      }
    },

    async *list(prefix, { signal } = {}) {
      assert.ok(prefix === '' || prefix.endsWith('/'), `prefix '${prefix}' ends in the middle of a name`);
      throwIfAborted(signal);
      try {
        yield* listPresent(root, prefix, { presence, signal });
      } catch (error) {
        throw storeErrorOfFile(error, `list ${join(root, prefix)}`);
      }
    },

    async remove(name, { signal } = {}) {
      throwIfAborted(signal);
      const target = pathOf(root, name);
      try {
        await unlink(target);
      } catch (error) {
        if (!noObject.includes(errnoOf(error) ?? '')) throw storeErrorOfFile(error, `remove ${target}`);
        await presence.check();
      }
    },

    async settle(prefix, { signal } = {}) {
      assert.ok(prefix === '' || prefix.endsWith('/'), `prefix '${prefix}' ends in the middle of a name`);
      throwIfAborted(signal);
      await settleFolder(join(root, prefix), presence);
    },

    removeUnfinished: (writtenBeforeMs, { signal } = {}) => removeUnfinishedIn(root, writtenBeforeMs, signal),

    async [Symbol.asyncDispose]() {},
  };
}

async function settleFolder(folder: string, presence: Presence): Promise<void> {
  try {
    await syncFolder(folder);
  } catch (error) {
    if (!noObject.includes(errnoOf(error) ?? '')) throw storeErrorOfFile(error, `make changes in ${folder} last`);
    await presence.check();
  }
}

interface Putting {
  readonly random: Random;
  readonly presence: Presence;
}

function putInto(root: string, { random, presence }: Putting): Store['put'] {
  const modes = modesOf(root, presence);
  const folders = durableFolders(root, () => presence.check());
  return async (name, parts, { signal } = {}) => {
    throwIfAborted(signal);
    const target = pathOf(root, name);
    try {
      const { fileMode, folderMode } = await modes();
      const write = () => writeAtomically(target, parts, { fileMode, isDurable: true, random, signal });
      await folders.prepare(dirname(target), folderMode);
      try {
        await write();
      } catch (error) {
        if (errnoOf(error) !== 'ENOENT') throw error;
        // Somebody removed the folder since it was prepared.
        folders.forget();
        await folders.prepare(dirname(target), folderMode);
        await write();
      }
    } catch (error) {
      throw storeErrorOfFile(error, `write ${target}`);
    }
  };
}

/** Names come from our own code; one that leaves the root is a fault of ours, never to be carried out. */
function pathOf(root: string, name: string): string {
  const isPlain = name.split('/').every((part) => part !== '' && part !== '.' && part !== '..');
  assert.ok(isPlain && !name.includes('\0'), `'${name}' is not a name of an object`);
  return join(root, name);
}

interface Reading {
  readonly root: string;
  readonly name: string;
  readonly work: string;
  readonly presence: Presence;
}

async function readError(error: unknown, { root, name, work, presence }: Reading): Promise<AppError> {
  try {
    const isMissing = noObject.includes(errnoOf(error) ?? '');
    if (isMissing) await presence.check();
    return isMissing ? objectMissing(name, root, error) : storeErrorOfFile(error, `${work} ${join(root, name)}`);
  } catch (failure) {
    return storeErrorOfFile(failure, `${work} ${join(root, name)}`);
  }
}

interface Modes {
  readonly fileMode: number;
  readonly folderMode: number;
}

/** A repository whose `config` the group may read is shared: what is added must be readable to the group too. */
function modesOf(root: string, presence: Presence): () => Promise<Modes> {
  let known: Modes | undefined;
  return async () => {
    if (known !== undefined) return known;
    try {
      const isShared = ((await statFile(join(root, configName))).mode & 0o040) !== 0;
      presence.note();
      known = isShared ? { fileMode: 0o440, folderMode: 0o770 } : { fileMode: 0o400, folderMode: 0o700 };
      return known;
    } catch (error) {
      if (!['ENOENT', 'ENOTDIR'].includes(errnoOf(error) ?? '')) throw error;
      return { fileMode: 0o400, folderMode: 0o700 }; // A repository in the making.
    }
  };
}

async function* listPresent(
  root: string,
  prefix: string,
  { presence, signal }: { readonly presence: Presence; readonly signal: AbortSignal | undefined },
): AsyncGenerator<ObjectInfo> {
  let isEmpty = true;
  for await (const found of listFolder(root, prefix, { depth: 0, signal })) {
    isEmpty = false;
    yield found;
  }
  if (isEmpty) await presence.check();
}

interface Walk {
  readonly depth: number;
  readonly signal: AbortSignal | undefined;
}

async function* listFolder(root: string, prefix: string, walk: Walk): AsyncGenerator<ObjectInfo> {
  throwIfAborted(walk.signal);
  if (walk.depth > depthMax) return;
  const names: string[] = [];
  const folders: string[] = [];
  for (const entry of await readFolder(join(root, prefix))) {
    if (entry.isDirectory()) folders.push(`${prefix}${entry.name}/`);
    else if (!isUnfinished(entry.name)) names.push(prefix + entry.name);
  }
  for (let first = 0; first < names.length; first += statsAtOnce) {
    throwIfAborted(walk.signal);
    for (const found of await Promise.all(names.slice(first, first + statsAtOnce).map((name) => lookAt(root, name)))) {
      if (found?.kind === 'folder') folders.push(found.prefix);
      else if (found !== undefined) yield found.info;
    }
  }
  for (const folder of folders) yield* listFolder(root, folder, { ...walk, depth: walk.depth + 1 });
}

async function removeUnfinishedIn(
  root: string,
  writtenBeforeMs: number,
  signal: AbortSignal | undefined,
): Promise<number> {
  let removed = 0;
  try {
    for await (const file of unfinishedFiles(root, { depth: 0, signal })) {
      const found = await statIfThere(file);
      if (found === undefined || found.mtimeMs >= writtenBeforeMs) continue;
      await unlink(file);
      removed += 1;
    }
  } catch (error) {
    throw storeErrorOfFile(error, `remove what was left unfinished in ${root}`);
  }
  return removed;
}

/** Links to folders are entered as listings enter them; a link itself is nothing that we leave behind. */
async function* unfinishedFiles(folder: string, walk: Walk): AsyncGenerator<string> {
  throwIfAborted(walk.signal);
  if (walk.depth > depthMax) return;
  for (const entry of await readFolder(folder)) {
    const path = join(folder, entry.name);
    if (entry.isFile()) {
      if (isUnfinished(entry.name)) yield path;
    } else if (entry.isDirectory() || (await statIfThere(path))?.isDirectory() === true) {
      yield* unfinishedFiles(path, { ...walk, depth: walk.depth + 1 });
    }
  }
}

async function statIfThere(path: string) {
  try {
    return await statFile(path);
  } catch (error) {
    if (['ENOENT', 'ELOOP'].includes(errnoOf(error) ?? '')) return undefined;
    throw error;
  }
}

async function readFolder(path: string) {
  try {
    return await readdir(path, { withFileTypes: true });
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes(errnoOf(error) ?? '')) return [];
    throw error;
  }
}

type Found =
  | { readonly kind: 'folder'; readonly prefix: string }
  | { readonly kind: 'object'; readonly info: ObjectInfo };

/** Follows links, since people move `data` to a bigger disk; nothing for what vanished or is neither file nor folder. */
async function lookAt(root: string, name: string): Promise<Found | undefined> {
  const found = await statIfThere(join(root, name));
  if (found?.isDirectory() === true) return { kind: 'folder', prefix: `${name}/` };
  return found?.isFile() === true ? { kind: 'object', info: { name, sizeBytes: found.size } } : undefined;
}
