// A new password for a repository whose passwords are lost, by a recovery kit and the age identity that opens it.
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { AppError, errnoOf } from '../base/errors.ts';
import { addPassword, listKeys, openByMasterKey, type KeyInfo } from '../repository/open-repository.ts';
import type { Repository } from '../repository/repository.ts';
import type { Store } from '../storage/store.ts';
import type { CommandContext } from './context.ts';
import { newPassword } from './new-password.ts';
import { openKit } from './recovery-kit.ts';
import { chooseOne } from './repository-choice.ts';
import { shortId } from './style.ts';

export interface KitUse {
  readonly kit: string;
  readonly identity: string;
  readonly newPasswordFile: string | undefined;
  readonly isDryRun: boolean;
}

export async function addByKit(
  context: CommandContext,
  { kit, identity, newPasswordFile, isDryRun }: KitUse,
): Promise<{ readonly done: string; readonly keys: readonly KeyInfo[] }> {
  const { signal, workingFolder } = context;
  const settings = await chooseOne(context, 'write');
  const keys = await openKit(await textAt(workingFolder, kit), await textAt(workingFolder, identity));
  await using store = await context.openStore(settings);
  const repository = await openByAny(store, keys.values(), context);
  const password = await newPassword(context, newPasswordFile);
  if (isDryRun) {
    return { done: 'would add a key; nothing was done: --dry-run', keys: await listKeys(repository, signal) };
  }
  const keyId = await addPassword(repository, { password, signal });
  return { done: `added key ${shortId(keyId)} by the kit`, keys: await listKeys({ ...repository, keyId }, signal) };
}

/** A kit may be of several repositories. */
async function openByAny(
  store: Store,
  all: Iterable<Repository['keys']>,
  { signal, clock, random }: CommandContext,
): Promise<Repository> {
  for (const keys of all) {
    const repository = await openByMasterKey(store, { keys, signal, clock, random });
    if (repository !== undefined) return repository;
  }
  throw new AppError('KIT_INVALID', `the kit has no key of the repository at ${store.properties.location}`, {
    hint: 'Name one of the repositories that the sheet lists, or take the kit of this one.',
  });
}

async function textAt(folder: string, path: string): Promise<string> {
  const place = resolve(folder, path);
  return readFile(place, 'utf8').catch((error: unknown) => {
    throw new AppError('KIT_INVALID', `cannot read ${place}: ${errnoOf(error) ?? 'unknown error'}`, {
      hint: 'Make it a file that this user may read.',
      cause: error,
    });
  });
}
