// How a repository stands, one finding per aspect: what `check` shows, and what `doctor` begins with.
import { statfs } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { formatByteSize } from '../base/byte-size.ts';
import { count } from '../base/count.ts';
import { errnoOf, isAppError } from '../base/errors.ts';
import type { Finding } from '../model/finding.ts';
import type { RepositorySettings } from '../model/repository-settings.ts';
import { acquireLock, readLocks } from '../repository/lock.ts';
import type { Repository } from '../repository/repository.ts';
import { loadSnapshots } from '../repository/snapshot.ts';
import { parseLocation } from '../storage/location.ts';
import type { CommandContext, OpenedRepository } from './context.ts';
import { secretFileFinding } from './secret-file-finding.ts';
import { ageWords, plainStyle, shortId, shortTime } from './style.ts';

/** `more` adds findings about a repository that opens. */
export async function* checkRepository(
  settings: RepositorySettings,
  context: CommandContext,
  more?: (repository: Repository) => Promise<readonly Finding[]>,
): AsyncGenerator<Finding> {
  const passwordFile = await context.passwordFileOf(settings);
  if (passwordFile !== undefined) yield await secretFileFinding('password file', passwordFile);
  const location = parseLocation(settings.location);
  if (location.kind === 'local') yield await spaceFinding('disk space', resolve(context.workingFolder, location.path));
  else {
    let isReached = true;
    for await (const finding of context.reportBucket(settings)) {
      isReached &&= finding.aspect !== 'list bucket' || finding.outcome !== 'failed';
      yield finding;
    }
    // Opening would try again and again, only to say the same.
    if (!isReached) return;
  }
  const opened = await openOrFinding(settings, context);
  if ('aspect' in opened) {
    yield opened;
    return;
  }
  await using open = opened;
  const { repository } = open;
  const { config, store } = repository;
  const message = `${shortId(config.id)} at ${store.properties.location} opens (chunker ${config.chunkerDefault})`;
  yield { aspect: 'repository', outcome: 'passed', message };
  yield await writeFinding(repository, context);
  yield await lockFinding(repository, context);
  if (settings.archive === undefined)
    yield await snapshotFinding(repository, context, await receivesOnlyCopies(settings, context));
  else yield await monthFinding(settings, context);
  yield* (await more?.(repository)) ?? [];
}

/** From an error of the world to a finding; what is none is a defect and goes on. */
export function findingOf(aspect: string, error: unknown): Finding {
  if (!isAppError(error)) throw error;
  return { aspect, outcome: 'failed', message: error.message, hint: error.hint };
}

async function openOrFinding(
  settings: RepositorySettings,
  context: CommandContext,
): Promise<OpenedRepository | Finding> {
  try {
    return await context.openRepository(settings, 'write');
  } catch (error) {
    context.signal.throwIfAborted();
    return findingOf('repository', error);
  }
}

/** Takes and gives back a lock: that needs the rights to write and to remove. */
async function writeFinding(repository: Repository, { signal }: CommandContext): Promise<Finding> {
  const aspect = 'write access';
  try {
    await using lock = await acquireLock(repository, { isExclusive: false, signal });
    await lock.check();
    return { aspect, outcome: 'passed', message: 'files can be written and removed' };
  } catch (error) {
    signal.throwIfAborted();
    return findingOf(aspect, error);
  }
}

async function lockFinding(repository: Repository, { signal, clock }: CommandContext): Promise<Finding> {
  const aspect = 'locks';
  const locks = await readLocks(repository, signal);
  const stale = locks.filter(({ isStale }) => isStale);
  const [first] = stale;
  if (first !== undefined) {
    const since = ageWords(first.time, plainStyle({ nowMs: clock.now() }));
    return {
      aspect,
      outcome: 'warning',
      message: `${count(stale.length, 'stale lock')}, the first of process ${first.pid} of ${first.hostname}, ${since}`,
      hint: "Make sure that no process works there, then run 'lifeboat repository unlock'.",
    };
  }
  const message = locks.length === 0 ? 'none' : `${count(locks.length, 'lock')} of running processes`;
  return { aspect, outcome: 'passed', message };
}

/** A snapshot from the future says that some clock is, or was, wrong: ages and retention go by these times. */
async function snapshotFinding(
  repository: Repository,
  { signal, clock }: CommandContext,
  isForCopies: boolean,
): Promise<Finding> {
  const aspect = 'snapshots';
  const snapshots = await loadSnapshots(repository, signal);
  const newest = snapshots.at(-1);
  if (newest === undefined) {
    const [message, hint] = isForCopies
      ? ['none yet, and no policy backs up to it', "Bring them there with 'lifeboat copy'."]
      : ['none yet', "Take the first with 'lifeboat backup'."];
    return { aspect, outcome: 'warning', message, hint };
  }
  const style = plainStyle({ nowMs: clock.now(), timeZone: Temporal.Now.timeZoneId() });
  if (Temporal.Instant.from(newest.time).epochMilliseconds > clock.now() + 60_000) {
    const message = `the newest is of ${shortTime(newest.time, style)}, which is in the future`;
    return {
      aspect,
      outcome: 'warning',
      message,
      hint: 'Correct the clock of this machine, or of the one that wrote it.',
    };
  }
  return {
    aspect,
    outcome: 'passed',
    message: `${count(snapshots.length, 'snapshot')}, the newest ${ageWords(newest.time, style)}`,
  };
}

async function monthFinding(settings: RepositorySettings, context: CommandContext): Promise<Finding> {
  await using newest = await context.openRepository(settings, 'read');
  const { location } = newest.repository.store.properties;
  const snapshots = await loadSnapshots(newest.repository, context.signal);
  const message =
    snapshots.length === 0
      ? 'none yet: the first copy makes it'
      : `${location}, with ${count(snapshots.length, 'snapshot')}`;
  return { aspect: 'newest month', outcome: 'passed', message };
}

/** One that no policy backs up to is there for `lifeboat copy`. */
async function receivesOnlyCopies({ name }: RepositorySettings, context: CommandContext): Promise<boolean> {
  const application = (await context.findConfiguration())?.application;
  if (application?.repositories.some((repository) => repository.name === name) !== true) return false;
  return !application.components.some(({ policy }) => policy.targets.some(({ repository }) => repository === name));
}

const spaceLowBytes = 1024 ** 3;

/** Free space where a folder is, or would be. */
export async function spaceFinding(aspect: string, folder: string): Promise<Finding> {
  for (let place = folder; ; place = dirname(place)) {
    try {
      const { bavail, blocks, bsize } = await statfs(place);
      const freeBytes = bavail * bsize;
      const message = `${formatByteSize(freeBytes)} free of ${formatByteSize(blocks * bsize)} at ${place}`;
      const isLow = freeBytes < spaceLowBytes && freeBytes < blocks * bsize * 0.05;
      const hint = "See what a retention run would free: 'lifeboat retention --dry-run'.";
      return isLow ? { aspect, outcome: 'warning', message, hint } : { aspect, outcome: 'passed', message };
    } catch (error) {
      const errno = errnoOf(error);
      if (errno === 'ENOENT' && dirname(place) !== place) continue;
      const hint = 'Let this user enter the folder.';
      return { aspect, outcome: 'inconclusive', message: `can't look at ${place}: ${errno ?? 'error'}`, hint };
    }
  }
}
