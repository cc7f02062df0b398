// Creating and opening a repository, and its passwords: several key files wrap the one master key.
import { type Clock, systemClock } from '../base/clock.ts';
import { AppError } from '../base/errors.ts';
import { type Random, systemRandom } from '../base/random.ts';
import { isThere } from '../storage/is-there.ts';
import type { Store } from '../storage/store.ts';
import { createConfig, decodeConfig, encodeConfig, type NewConfig, type RepositoryConfig } from './config-file.ts';
import { formatTime } from './go-text.ts';
import { hashOf, type KeyId } from './ids.ts';
import {
  createMasterKey,
  parseKeyFile,
  unwrapMasterKey,
  wrapMasterKey,
  type KeyFile,
  type ScryptCost,
} from './key-file.ts';
import { configName, fileName, listFiles } from './layout.ts';
import { acquireLock } from './lock.ts';
import { removeFiles } from './remove-files.ts';
import { damaged, isMissing, listIds, readFile, type LockSettings, type Repository } from './repository.ts';
import { SealBroken, type KeyTriple } from './seal.ts';

/** restic looks at no more key files than this. */
const keyFilesMax = 20;

export interface OpenOptions {
  readonly password: string;
  readonly signal: AbortSignal;
  readonly clock?: Clock;
  readonly random?: Random;
  readonly lockSettings?: LockSettings;
}

export interface InitOptions extends OpenOptions, NewConfig {
  /** Tests make it cheap. */
  readonly scryptCost?: ScryptCost;
}

function missing(store: Store): AppError {
  return new AppError('REPOSITORY_MISSING', `there is no repository at ${store.properties.location}`, {
    hint: "Check the address, or create one with 'lifeboat repository init'.",
  });
}

/** Creates a repository. Rejects with `REPOSITORY_EXISTS` if anything of one is there. */
export async function initRepository(store: Store, options: InitOptions): Promise<Repository> {
  const { clock = systemClock, random = systemRandom, lockSettings, signal } = options;
  await refuseExisting(store, signal);
  const keys = createMasterKey();
  const repository = { store, keys, config: createConfig(options), clock, random, lockSettings };
  // The key first: a config without a key could never be opened, a key without a config is simply no repository yet.
  const keyId = await addPassword({ ...repository, keyId: '' as KeyId }, options);
  await store.put(configName, [encodeConfig(keys, repository.config)], { signal });
  return { ...repository, keyId };
}

/** Rejects with `REPOSITORY_EXISTS` unless a repository can be made there. */
export async function refuseExisting(store: Store, signal: AbortSignal): Promise<void> {
  const isMade = await isThere(store, configName, signal);
  const kinds = isMade ? [] : (['keys', 'snapshots'] as const);
  for (const kind of kinds) {
    for await (const file of listFiles(store, kind, signal)) {
      throw new AppError('REPOSITORY_EXISTS', `${store.properties.location} holds ${kind}/${file.id} but no config`, {
        hint: 'Choose an empty place; if an earlier init was cut off here, remove its key file first.',
      });
    }
  }
  if (isMade) {
    throw new AppError('REPOSITORY_EXISTS', `there is a repository at ${store.properties.location} already`, {
      hint: 'Use it as it is, or choose another place.',
    });
  }
}

/** Rejects with `REPOSITORY_MISSING` where there is none. For whoever needs to know before a password is asked for. */
export async function requireRepository(store: Store, signal: AbortSignal): Promise<void> {
  await store.stat(configName, { signal }).catch((error: unknown) => {
    throw isMissing(error) ? missing(store) : error;
  });
}

/** Where a password that may have to be asked for comes from: nobody is asked for that of a repository that is not there. */
type PasswordOrigin = string | (() => Promise<string>);

/** Opens with whichever key file fits the password. */
export async function openRepository(
  store: Store,
  options: Omit<OpenOptions, 'password'> & { readonly password: PasswordOrigin },
): Promise<Repository> {
  const { clock = systemClock, random = systemRandom, lockSettings, signal } = options;
  const sealedConfig = await store.get(configName, { signal }).catch((error: unknown) => {
    throw isMissing(error) ? missing(store) : error;
  });
  const password = typeof options.password === 'string' ? options.password : await options.password();
  const { keys, keyId } = await findKey(store, { password, signal });
  return { store, keys, keyId, config: readConfig(keys, sealedConfig), clock, random, lockSettings };
}

/** Without a password, by the master key itself; undefined if it is not that of the repository. */
export async function openByMasterKey(
  store: Store,
  {
    keys,
    signal,
    clock = systemClock,
    random = systemRandom,
  }: Omit<OpenOptions, 'password'> & { readonly keys: KeyTriple },
): Promise<Repository | undefined> {
  const sealed = await store.get(configName, { signal }).catch((error: unknown) => {
    throw isMissing(error) ? missing(store) : error;
  });
  try {
    return { store, keys, keyId: '' as KeyId, config: decodeConfig(keys, sealed), clock, random };
  } catch (error) {
    if (error instanceof SealBroken) return undefined;
    throw error instanceof AppError ? error : damaged(configName, error);
  }
}

function readConfig(keys: KeyTriple, sealed: Buffer): RepositoryConfig {
  try {
    return decodeConfig(keys, sealed);
  } catch (error) {
    throw error instanceof AppError ? error : damaged(configName, error);
  }
}

async function findKey(
  store: Store,
  options: Pick<OpenOptions, 'password' | 'signal'>,
): Promise<{ keys: KeyTriple; keyId: KeyId }> {
  const ids = await listIds({ store }, 'keys', options.signal);
  if (ids.length === 0) throw missing(store);
  const problems: unknown[] = [];
  for (const keyId of ids.slice(0, keyFilesMax)) {
    try {
      const file = parseKeyFile(await readFile(store, { kind: 'keys', id: keyId }, options.signal));
      const keys = await unwrapMasterKey(file, options.password);
      if (keys !== undefined) return { keys, keyId };
    } catch (error) {
      options.signal.throwIfAborted();
      problems.push(error instanceof AppError ? error : damaged(fileName('keys', keyId), error));
    }
  }
  // A damaged key file must not hide behind "wrong password".
  if (problems.length > 0) throw problems[0];
  throw new AppError('PASSWORD_WRONG', `no key of ${store.properties.location} opens with this password`, {
    hint: 'Check LIFEBOAT_PASSWORD or the password file; white space at its ends is dropped.',
  });
}

export interface KeyInfo {
  readonly id: KeyId;
  readonly isCurrent: boolean;
  readonly created: string;
  readonly userName: string;
  readonly hostName: string;
}

export async function listKeys(repository: Repository, signal: AbortSignal): Promise<KeyInfo[]> {
  const keys: KeyInfo[] = [];
  for (const id of await listIds(repository, 'keys', signal)) {
    const bytes = await readFile(repository.store, { kind: 'keys', id }, signal);
    let file: KeyFile;
    try {
      file = parseKeyFile(bytes);
    } catch (error) {
      throw damaged(fileName('keys', id), error);
    }
    const { created, username: userName, hostname: hostName } = file;
    keys.push({ id, isCurrent: id === repository.keyId, created, userName, hostName });
  }
  return keys;
}

/** Adds a key file for one more password; the master key stays what it is. */
export async function addPassword(
  repository: Repository,
  options: { readonly password: string; readonly signal: AbortSignal; readonly scryptCost?: ScryptCost },
): Promise<KeyId> {
  if (options.password === '') {
    throw new AppError('PASSWORD_MISSING', 'the new password is empty', {
      hint: 'Give a password of at least one character.',
    });
  }
  const created = formatTime(BigInt(repository.clock.now()) * 1_000_000n);
  const cost = options.scryptCost === undefined ? {} : { cost: options.scryptCost };
  const bytes = await wrapMasterKey(repository.keys, options.password, { created, ...cost });
  const check = await unwrapMasterKey(parseKeyFile(bytes), options.password);
  if (check === undefined || !check.encrypt.equals(repository.keys.encrypt))
    throw new Error('the new key file does not open');
  const id = hashOf(bytes) as KeyId;
  await repository.store.put(fileName('keys', id), [bytes], { signal: options.signal });
  return id;
}

export interface KeyRemovalOptions {
  readonly signal: AbortSignal;
  readonly lockWaitMs?: number | undefined;
}

/** Removes a password. The one in use and the last one can't be removed: nobody could open the repository again. */
export async function removePassword(repository: Repository, id: KeyId, options: KeyRemovalOptions): Promise<void> {
  refuseOwnKey(repository, id);
  await using removal = await keyRemoval(repository, options);
  await removal.remove(id);
}

export function refuseOwnKey({ keyId }: Repository, id: KeyId): void {
  if (id !== keyId) return;
  throw new AppError('USAGE', `key ${id.slice(0, 8)} is the one in use`, {
    hint: 'Open the repository with another password to remove it.',
  });
}

/**
 * Two that each removed the other's key would leave none: one after the other, and only while the own key is there, which
 * then stays.
 */
async function keyRemoval(
  repository: Repository,
  { signal: outer, lockWaitMs: waitMs = 0 }: KeyRemovalOptions,
): Promise<AsyncDisposable & { remove(id: KeyId): Promise<void> }> {
  const lock = await acquireLock(repository, { isExclusive: true, signal: outer, waitMs });
  const signal = AbortSignal.any([outer, lock.signal]);
  return {
    async remove(id) {
      await readFile(repository.store, { kind: 'keys', id: repository.keyId }, signal).catch((error: unknown) => {
        throw isMissing(error) ? ownKeyGone(repository) : error;
      });
      await removeFiles(repository, { kind: 'keys', ids: [id] }, { lock, signal });
    },
    [Symbol.asyncDispose]: () => lock[Symbol.asyncDispose](),
  };
}

function ownKeyGone({ keyId, store }: Repository): AppError {
  return new AppError(
    'PASSWORD_WRONG',
    `key ${keyId.slice(0, 8)} of ${store.properties.location} was removed meanwhile`,
    {
      hint: 'Open the repository with a password that it still has.',
    },
  );
}

/** Writes a key file for the new password, checks that it opens, then removes the one in use. */
export async function changePassword(
  repository: Repository,
  options: KeyRemovalOptions & { readonly password: string; readonly scryptCost?: ScryptCost },
): Promise<KeyId> {
  await using removal = await keyRemoval(repository, options);
  const id = await addPassword(repository, options);
  const reopened = await openRepository(repository.store, options);
  if (!reopened.keys.encrypt.equals(repository.keys.encrypt)) throw new Error('the new password opens another key');
  await removal.remove(repository.keyId);
  return id;
}
