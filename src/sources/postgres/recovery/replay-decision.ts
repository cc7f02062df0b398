// Decides what a recovery into a folder would do: looks at the target, the tablespaces, the programs; touches nothing.
import type { Stats } from 'node:fs';
import { stat, statfs } from 'node:fs/promises';
import { dirname, isAbsolute, join, resolve } from 'node:path';
import { formatByteSize } from '../../../base/byte-size.ts';
import { count } from '../../../base/count.ts';
import { AppError, errnoOf, isAppError } from '../../../base/errors.ts';
import type { Finding } from '../../../model/finding.ts';
import type { ReplayOptions } from '../../replay.ts';
import type { RecoveryReader } from '../../source.ts';
import type { PostgresOptions } from '../options.ts';
import { findServer, type ServerPrograms } from '../server-programs.ts';
import { type Account } from '../server-process.ts';
import { type BaseFacts, readBaseFacts } from './base-facts.ts';
import type { Recovery } from './choose-recovery.ts';
import { dataFolder, innerTablespaces, type TablespacePlace } from './data-folder.ts';
import { chooseOwner, type FileOwner } from './file-owner.ts';
import { lookAtTarget, namesIn, type TargetFolder } from './target-folder.ts';

/** A data directory that is to be written. */
export interface FolderPlan {
  readonly folder: string;
  readonly facts: BaseFacts;
  readonly target: TargetFolder;
  readonly tablespaces: readonly TablespacePlace[];
  readonly owner: FileOwner;
  readonly programs: ServerPrograms | undefined;
  readonly findings: readonly Finding[];
  readonly replaces: string | undefined;
}

export interface FolderWish extends Pick<ReplayOptions, 'to' | 'places' | 'owner'> {
  /** Made during the replay, at these very places. */
  readonly newTablespaces: Recovery['tablespaces'];
  readonly needsServer: boolean;
}

export async function planFolder(
  { options, reader }: { readonly options: PostgresOptions; readonly reader: RecoveryReader },
  wish: FolderWish,
  signal: AbortSignal,
): Promise<FolderPlan> {
  const facts = await readBaseFacts(reader, signal);
  const folder = resolve(wish.to);
  const target = await lookAtTarget(folder, { systemIdentifier: facts.systemIdentifier, major: facts.serverMajor });
  const isThere = target.state !== 'new' && target.state !== 'foreign';
  const stored = await storedOwner(reader, signal);
  const owner = await chooseOwner({ named: wish.owner, stored, folder: target.state === 'stale' ? folder : undefined });
  const tablespaces = tablespacePlaces(folder, facts, wish.places);
  const programs = wish.needsServer ? await programsFor(facts, options, signal) : undefined;
  const findings = [
    ...target.findings,
    ...(isThere ? [] : [await spaceFinding(folder, facts)]),
    ownerFinding(owner),
    await entryFinding(folder, owner),
    ...(await tablespaceFindings({ facts, target, tablespaces, folder })),
    ...(await newTablespaceFindings(wish.newTablespaces)),
    ...linkFindings(folder, target),
    ...(programs === undefined ? [] : [programs.finding]),
  ].filter((finding) => finding !== undefined);
  const isReplacing = target.state === 'stale' || target.state === 'unfinished';
  return {
    folder,
    facts,
    target,
    tablespaces,
    owner,
    programs: programs?.found,
    findings,
    replaces: isReplacing ? `the data directory ${folder}; what is not in the backup is removed from it` : undefined,
  };
}

async function storedOwner(reader: RecoveryReader, signal: AbortSignal): Promise<Account | undefined> {
  for await (const { path, metadata } of reader.entries(signal)) {
    if (path === dataFolder) return { uid: metadata.uid, gid: metadata.gid };
  }
  throw new AppError('SOURCE_UNSUPPORTED', `this backup has no folder ${dataFolder}`, {
    hint: 'Choose another backup.',
  });
}

function tablespacePlaces(
  folder: string,
  { tablespaces }: BaseFacts,
  places: ReplayOptions['places'],
): TablespacePlace[] {
  const unknown = places.find(({ from }) => !tablespaces.some(({ location }) => location === from));
  if (unknown !== undefined) {
    const known = tablespaces.map(({ location }) => location).join(', ');
    throw new AppError('USAGE', `--tablespace ${unknown.from}: the backup has no tablespace there`, {
      hint: known === '' ? 'It has none at all: leave the option out.' : `Its tablespaces are ${known}.`,
    });
  }
  return tablespaces.map(({ oid, location }) => {
    const named = places.find(({ from }) => from === location)?.to;
    if (named !== undefined && !isAbsolute(named)) {
      throw new AppError('USAGE', `--tablespace ${location}=${named}: the new place is no absolute path`, {
        hint: 'Begin it with /.',
      });
    }
    return { oid, to: named === undefined ? join(folder, innerTablespaces, String(oid)) : resolve(named) };
  });
}

async function tablespaceFindings({
  facts,
  target,
  tablespaces,
  folder,
}: Pick<FolderPlan, 'facts' | 'target' | 'tablespaces' | 'folder'>): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const { oid, to } of tablespaces) {
    const aspect = `tablespace ${oid}`;
    const location = facts.tablespaces.find((one) => one.oid === oid)?.location ?? '';
    const isInner = to.startsWith(join(folder, innerTablespaces));
    const names = isInner ? [] : await namesIn(to);
    const isFree = names === undefined || (Array.isArray(names) && names.length === 0);
    // What it leads to is the tablespace of this very stopped server.
    const isOwn = target.tablespaces.get(oid) === to && target.state !== 'foreign';
    if (isInner || isFree || isOwn) {
      findings.push({ aspect, outcome: 'passed', message: `${location} comes back in ${to}` });
    } else {
      const hint = 'Name an empty folder; the tablespace of another server, running or not, must not be touched.';
      findings.push({ aspect, outcome: 'failed', message: `${to} is not empty`, hint });
    }
  }
  return findings;
}

/** The replay makes them where the original has them, wherever the copy lies. */
export async function newTablespaceFindings(made: Recovery['tablespaces']): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const { oid, location } of made.filter((one) => isAbsolute(one.location))) {
    const names = await namesIn(location);
    const isFree = Array.isArray(names) && names.length === 0;
    const aspect = `tablespace ${oid}`;
    const what = `it was made after the backup, and the replay makes it again at ${location}`;
    findings.push(
      isFree
        ? {
            aspect,
            outcome: 'warning',
            message: `${what}, which is empty`,
            hint: 'Make sure that no other server is to use it.',
          }
        : {
            aspect,
            outcome: 'failed',
            message: `${what}, which ${names === undefined ? 'is not there' : 'is in use'}`,
            hint: 'Restore on a machine where it is an empty folder of the account of the server, or take a new backup first.',
          },
    );
  }
  return findings;
}

function linkFindings(folder: string, { walLink, state }: TargetFolder): Finding[] {
  if (walLink === undefined || state === 'foreign') return [];
  const message = `pg_wal of ${folder} is a link to ${walLink}; it becomes a folder, and what is there stays`;
  return [
    { aspect: 'pg_wal', outcome: 'warning', message, hint: 'Move it and link it again afterwards, if you want.' },
  ];
}

function ownerFinding({ name, isMakeshift, account }: FileOwner): Finding {
  const aspect = 'owner';
  if (!isMakeshift) return { aspect, outcome: 'passed', message: `the files belong to ${name}` };
  const message = `nobody here has the number of the original's owner: the files belong to ${name} (${account?.uid})`;
  return {
    aspect,
    outcome: 'warning',
    message,
    hint: 'Name whom they are to belong to with --owner, such as postgres.',
  };
}

/** A server that can't come to its data does not start, and says so only then. */
async function entryFinding(folder: string, { account, name }: FileOwner): Promise<Finding | undefined> {
  if (account === undefined) return undefined;
  for (let at = dirname(folder); ; at = dirname(at)) {
    const stats = await stat(at).catch((error: unknown) => {
      if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') return undefined;
      throw error;
    });
    if (stats?.isDirectory() === true && !mayEnter(stats, account)) {
      const message = `${name} may not enter ${at}, so no server of ${name}'s can run in ${folder}`;
      return {
        aspect: 'owner',
        outcome: 'failed',
        message,
        hint: `Run 'chmod a+x ${at}', or name another folder with --to.`,
      };
    }
    if (at === '/') return undefined;
  }
}

function mayEnter({ mode, uid, gid }: Pick<Stats, 'mode' | 'uid' | 'gid'>, account: Account): boolean {
  const bit = uid === account.uid ? 0o100 : gid === account.gid ? 0o010 : 0o001;
  return (mode & bit) !== 0;
}

export async function spaceFinding(
  folder: string,
  { sizeBytes }: Pick<BaseFacts, 'sizeBytes'>,
): Promise<Finding | undefined> {
  if (sizeBytes === undefined) return undefined;
  for (let at = folder; ; at = dirname(at)) {
    if ((await namesIn(at)) === undefined && at !== '/') continue;
    const { bavail, bsize } = await statfs(at);
    const free = bavail * bsize;
    const message = `${at} has ${formatByteSize(free)} left, the data directory takes ${formatByteSize(sizeBytes)}`;
    const aspect = 'disk space';
    if (free > sizeBytes) return { aspect, outcome: 'passed', message };
    return { aspect, outcome: 'failed', message, hint: 'Make room, or name a folder on another disk.' };
  }
}

async function programsFor(
  { serverMajor }: BaseFacts,
  { programFolders }: PostgresOptions,
  signal: AbortSignal,
): Promise<{ found: ServerPrograms | undefined; finding: Finding }> {
  const aspect = 'server programs';
  try {
    const found = await findServer(serverMajor, programFolders, signal);
    return {
      found,
      finding: { aspect, outcome: 'passed', message: `PostgreSQL ${found.version} replays the journal` },
    };
  } catch (error) {
    if (!isAppError(error, 'TOOL_MISSING')) throw error;
    return { found: undefined, finding: { aspect, outcome: 'failed', message: error.message, hint: error.hint } };
  }
}

/** `write the backup to /srv/copy (33 MB)`. */
export function writeStep({ folder, facts, target, tablespaces }: FolderPlan): string {
  const size = facts.sizeBytes === undefined ? '' : ` (${formatByteSize(facts.sizeBytes)})`;
  const how =
    target.state === 'stale' || target.state === 'unfinished' ? 'rewrite what differs in' : 'write the backup to';
  const more = tablespaces.length === 0 ? '' : `, with ${count(tablespaces.length, 'tablespace')}`;
  return `${how} ${folder}${size}${more}`;
}
