// A place for throw-away servers that stand at instants of the past: a data directory that is written from a backup, brought to an
// instant by replaying the journal, and moved on or back from there. The server is paused within its recovery, which makes it
// unable to write, or promoted where changes are wanted. Like a sandbox it is a copy of production, so nothing of its settings is read.
import { chown, mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '../../../base/errors.ts';
import type { PastPlace, PastPoint, PastServer, PastWish } from '../../explore.ts';
import type { ReplayFile } from '../../replay.ts';
import { makeServerPlace, type ServerPlace } from '../local-server.ts';
import type { PostgresOptions } from '../options.ts';
import { type BaseFacts, readBaseFacts } from '../recovery/base-facts.ts';
import {
  completeDataFolder,
  endRestore,
  innerTablespaces,
  writeDataFolder,
  writeDurably,
} from '../recovery/data-folder.ts';
import { newTablespaceFindings, spaceFinding } from '../recovery/replay-decision.ts';
import { replayFiles } from '../recovery/replay-files.ts';
import { type Chosen, chosenOf } from '../recovery/replay-restore.ts';
import { findServer } from '../server-programs.ts';
import { giveAway } from '../server-process.ts';
import type { Lsn } from '../wal/lsn.ts';
import { startPastServer } from './past-server.ts';

export async function makePastPlace(options: PostgresOptions, wish: PastWish): Promise<PastPlace> {
  const stack = new AsyncDisposableStack();
  let place: ServerPlace | undefined;
  let replayedTo: ReplayedTo | undefined;
  let runs = 0;
  return {
    async open(choice, point, signal) {
      const chosen = chosenOf(choice);
      const facts = await readBaseFacts(point.reader, signal);
      place ??= stack.use(await placeFor(options, facts, signal));
      const work = { place, chosen, facts, point, wish, folder: join(place.folder, 'data') };
      const canGoOn = replayedTo !== undefined && isAhead(chosen, replayedTo);
      const isStale = replayedTo !== undefined || runs > 0;
      replayedTo = undefined; // Until it stands there again nobody knows where it is.
      if (!canGoOn) await writeCopy(work, isStale, signal);
      runs += 1;
      const server = await start({ ...work, run: join(place.folder, `run-${runs}`) }, signal);
      return {
        ...server,
        async [Symbol.asyncDispose]() {
          await server[Symbol.asyncDispose]();
          if (point.isWritable !== true && server.isPaused) replayedTo = endOfReplay(chosen);
        },
      };
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

/** Where a stopped server stands on its way, so that it can go on from there. */
interface ReplayedTo {
  readonly base: string;
  readonly lineage: string;
  readonly lsn: Lsn;
}

function endOfReplay({ recovery: { base, goal, stop } }: Chosen): ReplayedTo | undefined {
  return stop.kind === 'base' ? undefined : { base: base.id, lineage: goal.lineage, lsn: stop.lsn };
}

/** The record at which it stands was replayed or not, and is not replayed twice either way. */
function isAhead({ recovery: { base, goal, stop } }: Chosen, replayedTo: ReplayedTo): boolean {
  return (
    base.id === replayedTo.base &&
    goal.lineage === replayedTo.lineage &&
    stop.kind === 'record' &&
    stop.lsn > replayedTo.lsn
  );
}

async function placeFor(options: PostgresOptions, facts: BaseFacts, signal: AbortSignal): Promise<ServerPlace> {
  const programs = await findServer(facts.serverMajor, options.programFolders, signal);
  return makeServerPlace(programs, options.sandboxFolder);
}

interface Work {
  readonly place: ServerPlace;
  readonly chosen: Chosen;
  readonly facts: BaseFacts;
  readonly point: PastPoint;
  readonly wish: PastWish;
  readonly folder: string;
}

async function writeCopy(work: Work, isStale: boolean, signal: AbortSignal): Promise<void> {
  const { place, facts, point, wish, folder, chosen } = work;
  const { account } = place;
  const space = isStale ? undefined : await spaceFinding(place.folder, facts);
  if (space?.outcome === 'failed') throw new AppError('TARGET_SPACE', space.message, { hint: space.hint ?? '' });
  // Their replay would touch what this machine has at those very places.
  const [made] = (await newTablespaceFindings(chosen.recovery.tablespaces)).filter(
    ({ outcome }) => outcome === 'failed',
  );
  if (made !== undefined) throw new AppError('TARGET_UNSAFE', made.message, { hint: made.hint ?? '' });
  const tablespaces = facts.tablespaces.map(({ oid }) => ({ oid, to: join(folder, innerTablespaces, String(oid)) }));
  await writeDataFolder(
    point.reader,
    {
      folder,
      systemIdentifier: facts.systemIdentifier,
      isStale,
      tablespaces,
      onBytes: wish.onBytes,
      isTemporary: true,
    },
    signal,
  );
  // The one file of settings that can't be named elsewhere.
  await writeDurably(join(folder, 'postgresql.auto.conf'), new Uint8Array());
  await writeDurably(join(folder, 'recovery.signal'), new Uint8Array());
  if (account !== undefined) await giveAway(account, folder, signal);
  await completeDataFolder(point.reader, { folder, account }, signal);
  await endRestore(folder);
}

async function start(
  work: Work & { readonly run: string },
  signal: AbortSignal,
): Promise<PastServer & { readonly isPaused: boolean }> {
  const { place, chosen, facts, point, wish, folder, run } = work;
  const { account } = place;
  const { recovery, map, journal } = chosen;
  await mkdir(run, { mode: 0o700 });
  if (account !== undefined) await chown(run, account.uid, account.gid);
  try {
    const files = replayFiles(recovery, map, journal).map((file) => counted(file, wish.onBytes));
    await using feed = await wish.openFeed({ files, parentFolder: run, account }, signal);
    const aim = {
      timeline: recovery.goal.timeline,
      stop: recovery.stop,
      action: point.isWritable === true ? 'promote' : 'pause',
    } as const;
    const server = await startPastServer({ place, run, dataFolder: folder, facts, aim, feed }, signal);
    return {
      ...server,
      async [Symbol.asyncDispose]() {
        await server[Symbol.asyncDispose]();
        await rm(run, { recursive: true, force: true });
      },
    };
  } catch (error) {
    await rm(run, { recursive: true, force: true });
    throw error;
  }
}

function counted(file: ReplayFile, onBytes: (count: number) => void): ReplayFile {
  let isCounted = false; // The server asks for some twice.
  return {
    ...file,
    async read(signal) {
      const bytes = await file.read(signal);
      if (!isCounted) onBytes(bytes.length);
      isCounted = true;
      return bytes;
    },
  };
}
