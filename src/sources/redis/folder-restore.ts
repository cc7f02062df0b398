// Restores into the folder of a stopped server. With the append-only file on, Redis loads that and ignores dump.rdb, so
// replacing the dump alone would silently bring back the old data. Where append-only files lie in the folder, they are
// moved aside and new ones written whose base is the dump: the server then starts from the restored data either way.
import { constants } from 'node:fs';
import { access, chown, copyFile, lstat, mkdir, open, readdir, rename, rm, stat, statfs } from 'node:fs/promises';
import { hostname } from 'node:os';
import { dirname, join } from 'node:path';
import type { Clock } from '../../base/clock.ts';
import { count } from '../../base/count.ts';
import { AppError, errnoOf, isAppError } from '../../base/errors.ts';
import { interruptedWith } from '../../base/interrupted.ts';
import type { Finding } from '../../model/finding.ts';
import type { RecoveryReader, RestoreDecision, RestoreOutcome, RestoreProgress } from '../source.ts';
import { connectRedis, type RedisAddress } from './connection.ts';
import { RdbCheck } from './rdb-check.ts';
import type { RecoveryPoint } from './recovery-point.ts';
import { dumpPath } from './redis-session.ts';
import { setting } from './server-facts.ts';

export interface FolderRestoreOptions {
  readonly reader: RecoveryReader;
  readonly point: RecoveryPoint;
  readonly folder: string;
  readonly fileName: string;
  /** The server backed up: it must not run on this very folder. */
  readonly origin: RedisAddress;
  readonly clock: Clock;
}

/** From Redis 7: a folder of parts with a manifest; before, one file. */
type AppendOnly =
  | { readonly kind: 'folder'; readonly name: 'appendonlydir'; readonly prefix: string }
  | { readonly kind: 'file'; readonly name: 'appendonly.aof' };

export async function folderRestore(options: FolderRestoreOptions, signal: AbortSignal): Promise<RestoreDecision> {
  const { folder, fileName } = options;
  const findings = await folderFindings(options, signal);
  const appendOnly = await findAppendOnly(folder);
  const hasDump = await exists(join(folder, fileName));
  const steps = [`write ${fileName} beside the present one and check it`];
  if (appendOnly !== undefined) steps.push(`move ${appendOnly.name} aside and write one that begins with the dump`);
  steps.push(`put ${fileName} in place`);
  const replaced = [...(hasDump ? [fileName] : []), ...(appendOnly === undefined ? [] : [appendOnly.name])];
  return {
    target: `${join(folder, fileName)} of a stopped server`,
    replaces: replaced.length === 0 ? undefined : `${replaced.join(' and ')} in ${folder}`,
    steps,
    findings,
    execute: (progress, executeSignal) => execute({ ...options, appendOnly, findings }, progress, executeSignal),
  };
}

async function folderFindings(options: FolderRestoreOptions, signal: AbortSignal): Promise<Finding[]> {
  const { folder, point } = options;
  const aspect = 'target folder';
  const isNew = !(await exists(folder));
  // Made where its parent is there: a whole path that is missing is more likely a mistake.
  const nearest = isNew ? dirname(folder) : folder;
  try {
    if (!(await stat(nearest)).isDirectory()) {
      const hint = "Name the server's data folder.";
      return [{ aspect, outcome: 'failed', message: `${nearest} is no folder`, hint }];
    }
    await access(nearest, constants.W_OK);
  } catch (error) {
    const message = `${nearest} can't be written: ${errnoOf(error) ?? 'unknown reason'}`;
    return [{ aspect, outcome: 'failed', message, hint: 'Create the folder, or run as a user who may write to it.' }];
  }
  const findings: Finding[] = [
    { aspect, outcome: 'passed', message: `${folder} ${isNew ? 'is new and is made' : 'can be written'}` },
  ];
  const { bavail, bsize } = await statfs(nearest);
  if (bavail * bsize < point.sizeBytes * 2) {
    findings.push({
      aspect: 'disk space',
      outcome: 'failed',
      message: `${folder} has ${bavail * bsize} bytes left, the restore needs up to ${point.sizeBytes * 2}`,
      hint: 'Make room in the folder.',
    });
  }
  findings.push(await useFinding(options, signal));
  return findings;
}

/** A running server would write over the file at its next save, and would not read it. */
async function useFinding({ folder, origin }: FolderRestoreOptions, signal: AbortSignal): Promise<Finding> {
  const aspect = 'server stopped';
  const hint = `Make sure that no server runs on ${folder} before you go on.`;
  const isHere = ['localhost', '127.0.0.1', '::1', hostname()].includes(origin.host) || origin.socketPath !== undefined;
  if (!isHere) {
    return { aspect, outcome: 'warning', message: `whether a server runs on ${folder} is not known`, hint };
  }
  try {
    await using connection = await connectRedis(origin, signal);
    const inUse = await setting(connection, 'dir');
    if (inUse !== folder) return { aspect, outcome: 'passed', message: 'the server backed up uses another folder' };
    return {
      aspect,
      outcome: 'failed',
      message: `a server runs on ${folder}`,
      hint: 'Stop it (with SHUTDOWN NOSAVE), restore, and start it; or restore into the running server.',
    };
  } catch (error) {
    if (isAppError(error, 'SOURCE_UNREACHABLE')) return { aspect, outcome: 'passed', message: 'the server is stopped' };
    if (!isAppError(error)) throw error;
    return { aspect, outcome: 'warning', message: `whether a server runs on ${folder} is not known`, hint };
  }
}

async function findAppendOnly(folder: string): Promise<AppendOnly | undefined> {
  const manifests = (await namesIn(join(folder, 'appendonlydir'))).filter((name) => name.endsWith('.manifest'));
  if (await exists(join(folder, 'appendonlydir'))) {
    const prefix = manifests[0]?.slice(0, -'.manifest'.length) ?? 'appendonly.aof';
    return { kind: 'folder', name: 'appendonlydir', prefix };
  }
  if (await exists(join(folder, 'appendonly.aof'))) return { kind: 'file', name: 'appendonly.aof' };
  return undefined;
}

interface Execution extends FolderRestoreOptions {
  readonly appendOnly: AppendOnly | undefined;
  readonly findings: readonly Finding[];
}

async function execute(options: Execution, progress: RestoreProgress, signal: AbortSignal): Promise<RestoreOutcome> {
  const failed = options.findings.find(({ outcome }) => outcome === 'failed');
  if (failed !== undefined) {
    throw new AppError('TARGET_UNSAFE', failed.message, { hint: failed.hint ?? 'Choose another target.' });
  }
  const { folder, fileName, appendOnly } = options;
  const suffix = `.before-${new Date(options.clock.now()).toISOString().replaceAll(':', '')}`;
  const written = join(folder, `.${fileName}.lifeboat`);
  const kept: string[] = [];
  const moveAside = async (name: string) => {
    if (!(await exists(join(folder, name)))) return;
    await rename(join(folder, name), join(folder, name + suffix));
    kept.push(join(folder, name + suffix));
  };
  progress.step(0);
  if (!(await exists(folder))) {
    await mkdir(folder, { mode: 0o700 });
    await ownAsFolder(folder, dirname(folder));
  }
  const keys = await writeDump(options, { path: written, progress }, signal).catch((error: unknown) => {
    const left = `nothing in ${folder} was replaced`;
    throw interruptedWith(signal, { left, hint: 'Run the restore again.' }) ?? error;
  });
  if (appendOnly !== undefined) {
    progress.step(1);
    const prepared = await prepareAppendOnly(folder, written, appendOnly).catch(async (error: unknown) => {
      await rm(written, { force: true }); // A full disk must not stay full of what is of no use.
      throw error;
    });
    await moveAside(appendOnly.name);
    await rename(prepared, join(folder, appendOnly.name));
  }
  progress.step(appendOnly === undefined ? 1 : 2);
  await moveAside(fileName);
  await rename(written, join(folder, fileName));
  await syncFolder(folder);
  const restored = [`${join(folder, fileName)}: ${keys}`];
  return kept.length === 0 ? { restored } : { restored, kept: `${kept.join(' and ')}; remove them when not needed` };
}

/** Writes and checks the file before anything present is touched; returns for people how many keys it holds. */
async function writeDump(
  options: FolderRestoreOptions,
  to: { readonly path: string; readonly progress: RestoreProgress },
  signal: AbortSignal,
): Promise<string> {
  const check = new RdbCheck();
  await rm(to.path, { force: true });
  try {
    await using file = await open(to.path, 'wx', 0o600);
    for await (const bytes of options.reader.read(dumpPath, signal)) {
      check.push(bytes);
      await file.writeFile(bytes);
      to.progress.bytes(bytes.length);
    }
    await file.sync();
    await ownAsFolder(to.path, options.folder);
    const { unread, fingerprint } = check.finish();
    if (unread !== undefined || fingerprint === undefined)
      return 'an unknown number of keys; start the server to load them';
    const keys = fingerprint.items.reduce((sum, { name, rows }) => sum + (name === 'functions' ? 0 : rows), 0);
    return `${count(keys, 'key')}; start the server to load ${keys === 1 ? 'it' : 'them'}`;
  } catch (error) {
    await rm(to.path, { force: true });
    throw error;
  }
}

/** Writes the append-only form whose first part is the dump; returns where it lies until it is put in place. */
async function prepareAppendOnly(folder: string, dump: string, appendOnly: AppendOnly): Promise<string> {
  const prepared = join(folder, `.${appendOnly.name}.lifeboat`);
  await rm(prepared, { recursive: true, force: true });
  try {
    await writeAppendOnly(prepared, { folder, dump, appendOnly });
    return prepared;
  } catch (error) {
    await rm(prepared, { recursive: true, force: true });
    throw error;
  }
}

async function writeAppendOnly(
  prepared: string,
  { folder, dump, appendOnly }: { readonly folder: string; readonly dump: string; readonly appendOnly: AppendOnly },
): Promise<void> {
  const copy = async (to: string) => {
    await copyFile(dump, to, constants.COPYFILE_FICLONE);
    await syncFile(to);
    await ownAsFolder(to, folder);
  };
  if (appendOnly.kind === 'file') {
    await copy(prepared); // An RDB file with no commands after it is a whole append-only file.
    return;
  }
  await mkdir(prepared, { mode: 0o700 });
  await ownAsFolder(prepared, folder);
  const base = `${appendOnly.prefix}.1.base.rdb`;
  await copy(join(prepared, base));
  const manifest = join(prepared, `${appendOnly.prefix}.manifest`);
  {
    await using file = await open(manifest, 'wx', 0o600);
    await file.writeFile(`file ${base} seq 1 type b\n`);
    await file.sync();
  }
  await ownAsFolder(manifest, folder);
  await syncFolder(prepared);
}

/** As root, what we write must belong to whom the server runs as. */
async function ownAsFolder(path: string, folder: string): Promise<void> {
  if (process.getuid?.() !== 0) return;
  const { uid, gid } = await stat(folder);
  await chown(path, uid, gid);
}

async function syncFile(path: string): Promise<void> {
  await using file = await open(path, 'r+');
  await file.sync();
}

async function syncFolder(path: string): Promise<void> {
  await using folder = await open(path, 'r');
  await folder.sync();
}

async function exists(path: string): Promise<boolean> {
  try {
    await lstat(path);
    return true;
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') return false;
    throw error;
  }
}

async function namesIn(path: string): Promise<string[]> {
  try {
    return await readdir(path);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') return [];
    throw error;
  }
}
