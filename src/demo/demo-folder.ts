// The folder the demonstration works in and leaves behind. A marker inside says that it is ours: without one nothing that
// is there is touched.
import { randomBytes } from 'node:crypto';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { AppError, errnoOf } from '../base/errors.ts';
import { shopFolders, type ShopFolders } from './shop-files.ts';

export const demoFolderName = 'lifeboat-demo';
const markerName = '.lifeboat-demo.json';
/** What a run makes; all else in the folder is the user's own. */
const ownNames = [
  'database-password',
  'lifeboat.yaml',
  'mail',
  'password',
  'report.json',
  'repository',
  'shop',
  'spool',
  'state',
];

const markerSchema = z.object({ about: z.string(), pid: z.number().optional() });

export interface DemoFolder {
  readonly path: string;
  readonly isCleared: boolean;
  readonly configurationFile: string;
  readonly passwordFile: string;
  /** Not there yet: for the password of the database, which lives as long as its server. */
  readonly databasePasswordFile: string;
  /** Not there yet: for the mails of whoever is on call. */
  readonly mail: string;
  readonly repository: string;
  /** Not there yet: for what was measured. */
  readonly report: string;
  readonly shop: ShopFolders;
  /** Lets the next run clear the folder. */
  release(): Promise<void>;
}

/** Makes the folder, or clears what an earlier run left; rejects with `TARGET_UNSAFE` where it is not ours to clear. */
export async function prepareDemoFolder(workingFolder: string): Promise<DemoFolder> {
  const path = join(workingFolder, demoFolderName);
  const isCleared = await clear(path);
  await mkdir(path, { recursive: true });
  await mark(path, process.pid);
  const shop = shopFolders(path);
  await mkdir(shop.uploads, { recursive: true });
  const passwordFile = join(path, 'password');
  await writeFile(passwordFile, `${randomBytes(24).toString('base64url')}\n`, { mode: 0o600, flag: 'wx' });
  return {
    path,
    isCleared,
    passwordFile,
    shop,
    configurationFile: join(path, 'lifeboat.yaml'),
    repository: join(path, 'repository'),
    databasePasswordFile: join(path, 'database-password'),
    mail: join(path, 'mail'),
    report: join(path, 'report.json'),
    release: () => mark(path, undefined),
  };
}

async function mark(path: string, pid: number | undefined): Promise<void> {
  const about = 'Made by the demonstration of Lifeboat. The next run removes what this one made here.';
  await writeFile(join(path, markerName), `${JSON.stringify({ about, pid })}\n`);
}

async function clear(path: string): Promise<boolean> {
  const names = await namesIn(path);
  if (names.length === 0) return false;
  if (!names.includes(markerName)) {
    throw new AppError('TARGET_UNSAFE', `${path} exists and was not made by the demonstration`, {
      hint: 'Move it away, or start in another folder.',
    });
  }
  const { pid } = markerSchema.parse(JSON.parse(await readFile(join(path, markerName), 'utf8')));
  if (pid !== undefined && pid !== process.pid && isAlive(pid)) {
    throw new AppError('TARGET_UNSAFE', `process ${pid} works in ${path} at this moment`, {
      hint: 'Wait for the other demonstration to end; if there is none, remove the folder.',
    });
  }
  for (const name of ownNames) await rm(join(path, name), { recursive: true, force: true });
  return true;
}

async function namesIn(path: string): Promise<string[]> {
  try {
    return await readdir(path);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return [];
    throw new AppError('TARGET_UNSAFE', `${path} can't be used (${errnoOf(error) ?? 'unknown reason'})`, {
      hint: 'Move it away, or start in another folder.',
      cause: error,
    });
  }
}

/** A process of another user counts as well. */
function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return errnoOf(error) === 'EPERM';
  }
}
