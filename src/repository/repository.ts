// A repository that was opened: its store, its keys and its parameters. Reading and writing its sealed JSON files.
import type { Clock } from '../base/clock.ts';
import { AppError, isAppError, messageOf } from '../base/errors.ts';
import type { Random } from '../base/random.ts';
import type { Store } from '../storage/store.ts';
import type { RepositoryConfig } from './config-file.ts';
import { hashOf } from './ids.ts';
import type { KeyId } from './ids.ts';
import { configName, fileName, listFiles, type FileIds, type FileKind } from './layout.ts';
import type { KeyTriple } from './seal.ts';
import { decodeUnpacked, encodeUnpacked } from './unpacked.ts';

/** How this process shows in locks; what it really is if absent. Simulations run several "processes" in one. */
export interface LockSettings {
  readonly hostName?: string;
  /** Between writing the own lock and looking for others a second time. */
  readonly settleMs?: number;
  /** How long a store that does not answer may hold up what must be done after an abort or a failure. */
  readonly closingMaxMs?: number;
}

const closingMaxMsDefault = 15_000;

/** For what must be done once the work was stopped, so that its own signal is of no use: tidied up, but not for ever. */
export function closingSignal({ lockSettings }: Pick<Repository, 'lockSettings'>): AbortSignal {
  return AbortSignal.timeout(lockSettings?.closingMaxMs ?? closingMaxMsDefault);
}

export interface Repository {
  readonly store: Store;
  /** The master key. */
  readonly keys: KeyTriple;
  /** Which password opened it. */
  readonly keyId: KeyId;
  readonly config: RepositoryConfig;
  readonly clock: Clock;
  readonly random: Random;
  readonly lockSettings?: LockSettings | undefined;
  /** Filled with the names of packs that hold trees as they become known: a cache keeps copies of them. */
  readonly treePacks?: Set<string> | undefined;
}

/** Files whose content is sealed JSON. */
export type JsonFileKind = 'index' | 'snapshots' | 'locks';

export function damaged(name: string, cause: unknown): AppError {
  return new AppError('REPOSITORY_DAMAGED', `file ${name} of the repository is damaged: ${messageOf(cause)}`, {
    hint: name === configName || name.startsWith('keys/') ? openingHint : extentHint,
    cause,
  });
}

const extentHint =
  "Run 'lifeboat repository verify --read-data' to see the extent; copy the file back from another repository if there is one.";
/** Without these no command, and no verify either, gets into the repository; another repository has others. */
const openingHint =
  'Bring the file back from a copy of this very repository, or from the older versions that its bucket keeps.';

/** The bytes of a file, checked against its name. */
export async function readFile<Kind extends FileKind>(
  store: Store,
  file: { readonly kind: Kind; readonly id: FileIds[Kind] },
  signal: AbortSignal,
): Promise<Buffer> {
  const name = fileName(file.kind, file.id);
  const bytes = await store.get(name, { signal });
  if (hashOf(bytes) !== file.id) throw damaged(name, new Error('its content does not fit its name'));
  return bytes;
}

/** The JSON text inside a sealed file. Rejects with `REPOSITORY_DAMAGED` naming the file, or with the store's error. */
export async function loadJson<Kind extends JsonFileKind>(
  repository: Repository,
  file: { readonly kind: Kind; readonly id: FileIds[Kind] },
  signal: AbortSignal,
): Promise<string> {
  const bytes = await readFile(repository.store, file, signal);
  try {
    return decodeUnpacked(repository.keys, bytes);
  } catch (error) {
    throw damaged(fileName(file.kind, file.id), error);
  }
}

/** Seals, and checks what was sealed. */
export function sealJson<Kind extends JsonFileKind>(
  repository: Repository,
  file: { readonly kind: Kind; readonly json: string },
): { readonly id: FileIds[Kind]; readonly sealed: Buffer } {
  const sealed = encodeUnpacked(repository.keys, file.json);
  if (decodeUnpacked(repository.keys, sealed) !== file.json)
    throw new Error(`${file.kind}: sealing did not round-trip`);
  return { id: hashOf(sealed) as FileIds[Kind], sealed };
}

/** Seals, checks what was sealed, stores under its hash. */
export async function saveJson<Kind extends JsonFileKind>(
  repository: Repository,
  file: { readonly kind: Kind; readonly json: string },
  signal: AbortSignal,
): Promise<FileIds[Kind]> {
  const { id, sealed } = sealJson(repository, file);
  await repository.store.put(fileName(file.kind, id), [sealed], { signal });
  return id;
}

/** All ids of a kind, sorted, so that work over them is repeatable. */
export async function listIds<Kind extends FileKind>(
  repository: Pick<Repository, 'store'>,
  kind: Kind,
  signal: AbortSignal,
): Promise<FileIds[Kind][]> {
  const ids: FileIds[Kind][] = [];
  for await (const { id } of listFiles(repository.store, kind, signal)) ids.push(id);
  return ids.toSorted();
}

export const isMissing = (error: unknown): boolean => isAppError(error, 'OBJECT_MISSING');
