// Tries on an object of our own what somebody with these credentials could do to the objects of a repository, and reads back what is left.
// What can't be tried without harm is asked for by setting it to what it is: that takes the same right.
import {
  DeleteObjectCommand,
  GetObjectCommand,
  GetObjectRetentionCommand,
  HeadObjectCommand,
  PutBucketVersioningCommand,
  PutObjectCommand,
  PutObjectLockConfigurationCommand,
  PutObjectRetentionCommand,
  S3ServiceException,
  type PutObjectCommandInput,
  type S3Client,
} from '@aws-sdk/client-s3';
import { count } from '../../base/count.ts';
import { hourMs } from '../../base/duration.ts';
import { isoTime } from '../../base/iso-time.ts';
import type { Clock } from '../../base/clock.ts';
import { throwIfAborted } from '../interruption.ts';
import type { S3Location } from '../location.ts';
import { firstContent, notApplicable, secondContent } from '../tamper.ts';
import type { ObjectLock, TamperReport, TamperTrial } from '../tamper.ts';
import { createClient, isAws } from './client.ts';
import { contentMd5 } from './content-md5.ts';
import { isMissing, storeErrorOfS3 } from './errors.ts';
import { readLockRule, type LockRule } from './object-lock.ts';
import { putParameters } from './store.ts';
import { removeLeftovers } from './tamper-leftovers.ts';

interface Tampering {
  readonly client: S3Client;
  readonly at: S3Location;
  readonly key: string;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** All that was written, delete markers included, until it is removed. */
  readonly written: Set<string>;
  /** The version that is tried to be harmed; absent after it was. */
  subject?: string | undefined;
}

type Answer = Omit<TamperTrial, 'trial'>;

const cleanUpMaxMs = 15_000;
/** The version of an object in a bucket that keeps none. */
const noVersion = 'null';

export async function tamperWithBucket(
  at: S3Location,
  { name, clock, signal }: { readonly name: string; readonly clock: Clock; readonly signal: AbortSignal },
): Promise<TamperReport> {
  const client = createClient(at.client);
  const key = at.prefix === '' ? name : `${at.prefix}/${name}`;
  const work: Tampering = { client, at, key, clock, signal, written: new Set() };
  try {
    const version = await write(work, firstContent).catch((error: unknown) => {
      throw storeErrorOfS3(error, `write s3://${at.bucket}/${key}`, at.client.endpoint);
    });
    work.subject = version;
    const rule = await ruleOf(work);
    const lock: ObjectLock = rule === 'no lock' ? { state: 'none' } : await lockOf(work);
    const trials = version === noVersion ? await tamperInPlace(work) : await tamperWithVersions(work, rule, lock);
    const left = await removeWritten(work, lock);
    return { lock, trials, left, earlier: await removeLeftovers({ client, at, clock, signal }) };
  } catch (error) {
    await removeWritten(work, { state: 'none' });
    throw error;
  } finally {
    client.destroy();
  }
}

/** Without versions there is nothing below what is overwritten. */
async function tamperInPlace(work: Tampering): Promise<TamperTrial[]> {
  const none = 'the bucket keeps no versions';
  return [
    await tryOut(work, 'overwrite', async () => {
      await write(work, secondContent);
      return { outcome: 'allowed', message: 'the first content is gone: the bucket keeps no versions' };
    }),
    await tryOut(work, 'delete', async () => {
      await work.client.send(new DeleteObjectCommand(target(work)), abort(work));
      work.written.delete(noVersion);
      return { outcome: 'allowed', message: 'it is gone: the bucket keeps no versions' };
    }),
    notApplicable('destroy a version', none),
    notApplicable('weaken the lock', none),
    notApplicable('switch versions off', none),
  ];
}

async function tamperWithVersions(work: Tampering, rule: Rule, lock: ObjectLock): Promise<TamperTrial[]> {
  const first = await subjectOf(work);
  // What destroys the version comes after what only hides it, and what weakens its lock last.
  return [
    await tryOut(work, 'overwrite', async () => {
      await overwrite(work, lock.state === 'locked' || isRule(rule));
      return readBack(work, first);
    }),
    await tryOut(work, 'delete', async () => {
      const { VersionId: marker } = await work.client.send(new DeleteObjectCommand(target(work)), abort(work));
      if (marker !== undefined) work.written.add(marker);
      return readBack(work, first);
    }),
    await destroy(work, 'destroy a version', {}),
    await destroy(work, 'destroy a version, bypassing governance', { BypassGovernanceRetention: true }),
    ...(await weakenLock(work, lock)),
    await switchVersionsOff(work, lock.state === 'locked' || isRule(rule)),
    await weakenRule(work, rule),
  ];
}

const target = ({ at, key }: Tampering) => ({ Bucket: at.bucket, Key: key });
const abort = ({ signal }: Tampering) => ({ abortSignal: signal });

/** Long enough for clocks that differ a little, and for nothing else. */
const briefLockMs = 60_000;

/**
 * What only hides the version that is tried: its lock serves nobody, so it is the shortest that there is, where these credentials may say so.
 * The version that is tried is written as backups write, with their lock, which is what is looked at.
 */
async function overwrite(work: Tampering, isLocking: boolean): Promise<void> {
  const until = new Date(work.clock.now() + briefLockMs);
  if (isLocking) {
    try {
      await write(work, secondContent, { ObjectLockMode: 'GOVERNANCE', ObjectLockRetainUntilDate: until });
      return;
    } catch (error) {
      throwIfAborted(work.signal);
      if (!(error instanceof S3ServiceException)) throw error;
    }
  }
  await write(work, secondContent);
}

/** As a backup writes, unless told otherwise; tells the version. */
async function write(
  work: Tampering,
  body: Buffer,
  lock: Pick<PutObjectCommandInput, 'ObjectLockMode' | 'ObjectLockRetainUntilDate'> = {},
): Promise<string> {
  const md5 = isAws(work.at.client) ? {} : { ContentMD5: contentMd5(body) };
  const object = { ...target(work), ...putParameters(work.at, false), ...lock, Body: body, ...md5 };
  const { VersionId: version = noVersion } = await work.client.send(new PutObjectCommand(object), abort(work));
  work.written.add(version);
  return version;
}

/** The version that is to be harmed: another one, where the one before was. */
async function subjectOf(work: Tampering): Promise<string> {
  work.subject ??= await write(work, firstContent);
  return work.subject;
}

/** Of the subject, or of the newest version, which takes fewer rights to look at. */
async function lockOf(work: Tampering, version?: string): Promise<ObjectLock> {
  const which = { ...target(work), ...(version !== undefined && { VersionId: version }) };
  try {
    const head = await work.client.send(new HeadObjectCommand(which), abort(work));
    const { ObjectLockMode: seen, ObjectLockRetainUntilDate: seenUntil } = head;
    if (seen !== undefined && seenUntil !== undefined) return lockedUntil(seen, seenUntil);
    // It is not said to who may not know it.
    const { Retention } = await work.client.send(new GetObjectRetentionCommand(which), abort(work));
    const { Mode: mode, RetainUntilDate: until } = Retention ?? {};
    return mode === undefined || until === undefined ? { state: 'none' } : lockedUntil(mode, until);
  } catch (error) {
    throwIfAborted(work.signal);
    const status = error instanceof S3ServiceException ? error.$metadata.httpStatusCode : undefined;
    if (status !== undefined && [400, 404, 501].includes(status)) return { state: 'none' };
    if (status === 200) return { state: 'unknown', message: 'the server does not know the question' };
    return { state: 'unknown', message: storeErrorOfS3(error, 'read the lock of what was written').message };
  }
}

const lockedUntil = (mode: string, until: Date): ObjectLock => ({ state: 'locked', mode, untilMs: until.getTime() });

type Rule = LockRule | 'no lock' | 'no rule' | 'unknown';

async function ruleOf({ client, at, signal }: Tampering): Promise<Rule> {
  try {
    return await readLockRule(client, at.bucket, signal);
  } catch {
    throwIfAborted(signal);
    return 'unknown';
  }
}

const isRule = (rule: Rule): rule is LockRule => typeof rule === 'object';

/** Something hides the version. Is it still there? */
async function readBack(work: Tampering, version: string): Promise<Answer> {
  const state = await stateOf(work, version);
  if (state === 'there') return { outcome: 'kept', message: 'the earlier version is there, and was read back' };
  if (state === 'gone') return { outcome: 'allowed', message: 'the earlier version is gone' };
  return {
    outcome: 'inconclusive',
    message: `it was done; whether the earlier version is there can't be seen: ${state.message}`,
    hint: 'Grant s3:GetObjectVersion to these credentials for the test.',
  };
}

async function stateOf(work: Tampering, version: string): Promise<'there' | 'gone' | { readonly message: string }> {
  try {
    const command = new GetObjectCommand({ ...target(work), VersionId: version });
    const { Body: body } = await work.client.send(command, abort(work));
    const bytes = (await body?.transformToByteArray()) ?? new Uint8Array();
    return firstContent.equals(bytes) ? 'there' : 'gone';
  } catch (error) {
    throwIfAborted(work.signal);
    if (isMissing(error) || (error instanceof Error && error.name === 'NoSuchVersion')) return 'gone';
    return { message: storeErrorOfS3(error, 'read a version').message };
  }
}

async function destroy(
  work: Tampering,
  trial: string,
  how: { readonly BypassGovernanceRetention?: true },
): Promise<TamperTrial> {
  return tryOut(work, trial, async () => {
    const version = await subjectOf(work);
    await work.client.send(new DeleteObjectCommand({ ...target(work), VersionId: version, ...how }), abort(work));
    const state = await stateOf(work, version);
    if (state === 'there')
      return { outcome: 'kept', message: 'it was answered as done, and the version is still there' };
    work.written.delete(version);
    work.subject = undefined;
    return { outcome: 'allowed', message: 'the version is gone for good' };
  });
}

const lockTrials = ['shorten the lock', 'remove the lock'] as const;

async function weakenLock(work: Tampering, lock: ObjectLock): Promise<TamperTrial[]> {
  if (lock.state === 'none') return lockTrials.map((trial) => notApplicable(trial, 'what was written is not locked'));
  const soon = new Date(work.clock.now() + hourMs);
  const trials: TamperTrial[] = [];
  for (const trial of lockTrials) {
    const wish = trial === 'remove the lock' ? {} : { Mode: 'GOVERNANCE' as const, RetainUntilDate: soon };
    trials.push(
      await tryOut(work, trial, async () => {
        const version = await subjectOf(work);
        const change = { ...target(work), VersionId: version, Retention: wish, BypassGovernanceRetention: true };
        await work.client.send(new PutObjectRetentionCommand(change), abort(work));
        const answer = lockAfter(lock, await lockOf(work, version));
        if (answer.outcome === 'allowed') work.subject = undefined;
        return answer;
      }),
    );
  }
  return trials;
}

function lockAfter(before: ObjectLock, after: ObjectLock): Answer {
  if (after.state === 'none') return { outcome: 'allowed', message: 'the lock is gone: the version can be destroyed' };
  if (after.state === 'unknown')
    return { outcome: 'allowed', message: `it was answered as done; what is left is not seen: ${after.message}` };
  const words = `${after.mode} until ${isoTime(after.untilMs)}`;
  const isSame = before.state === 'locked' && after.untilMs >= before.untilMs && after.mode === before.mode;
  if (isSame) return { outcome: 'kept', message: `it was answered as done, and the lock is as it was: ${words}` };
  return { outcome: 'allowed', message: `the lock is now ${words}` };
}

/** It has versions: to switch them on changes nothing, and takes the right to switch them off. */
async function switchVersionsOff(work: Tampering, isLocking: boolean): Promise<TamperTrial> {
  const trial = 'switch versions off';
  if (isLocking) return notApplicable(trial, 'not tried: a bucket with object lock always keeps versions');
  return tryOut(work, trial, async () => {
    const setting = { Bucket: work.at.bucket, VersioningConfiguration: { Status: 'Enabled' as const } };
    await work.client.send(new PutBucketVersioningCommand(setting), abort(work));
    return { outcome: 'allowed', message: 'not tried, but there is a right to: setting it to what it is was accepted' };
  });
}

/** Backups after it would not be locked. */
async function weakenRule(work: Tampering, rule: Rule): Promise<TamperTrial> {
  const trial = 'weaken the lock of what comes later';
  if (rule === 'unknown')
    return notApplicable(
      trial,
      "not tried: these credentials can't read the rule of the bucket, so can't set it to what it is",
    );
  if (!isRule(rule)) return notApplicable(trial, 'the bucket has no rule that locks');
  return tryOut(work, trial, async () => {
    const Rule = { DefaultRetention: rule.retention };
    const ObjectLockConfiguration = { ObjectLockEnabled: 'Enabled' as const, Rule };
    const command = new PutObjectLockConfigurationCommand({ Bucket: work.at.bucket, ObjectLockConfiguration });
    await work.client.send(command, abort(work));
    return { outcome: 'allowed', message: 'not tried, but there is a right to: setting it to what it is was accepted' };
  });
}

async function tryOut(work: Tampering, trial: string, act: () => Promise<Answer>): Promise<TamperTrial> {
  throwIfAborted(work.signal);
  try {
    return { trial, ...(await act()) };
  } catch (error) {
    throwIfAborted(work.signal);
    const { message, hint } = storeErrorOfS3(error, trial, work.at.client.endpoint);
    return isRefusal(error)
      ? { trial, outcome: 'refused', message }
      : { trial, outcome: 'inconclusive', message, hint };
  }
}

/** Servers say no to what is locked in several ways; that they don't understand is none of them. */
function isRefusal(error: unknown): boolean {
  if (!(error instanceof S3ServiceException)) return false;
  const status = error.$metadata.httpStatusCode ?? 0;
  return [403, 405, 409].includes(status) || (status === 400 && /\b(?:WORM|locked|retention)\b/i.test(error.message));
}

/** Not under the caller's signal: what is left of a test that was stopped is in nobody's interest. */
async function removeWritten(work: Tampering, lock: ObjectLock): Promise<string[]> {
  const { client, written } = work;
  const options = { abortSignal: AbortSignal.timeout(cleanUpMaxMs) };
  for (const version of written) {
    const which = version === noVersion ? {} : { VersionId: version };
    try {
      await client.send(new DeleteObjectCommand({ ...target(work), ...which }), options);
      written.delete(version);
    } catch {
      // Told below: that it can't be destroyed is what the test hopes for.
    }
  }
  if (written.size === 0) return [];
  const until = lock.state === 'locked' ? `, locked until about ${isoTime(lock.untilMs)}` : '';
  return [`${count(written.size, 'version')} of s3://${work.at.bucket}/${work.key}${until}`];
}
