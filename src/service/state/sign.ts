// Signs in a repository that a service lives. Who recovers its state elsewhere sees by them whether the old server is still there; and an old
// one that comes back sees that it was replaced.
import { hostname } from 'node:os';
import { z } from 'zod';
import { formatAge } from '../../base/duration.ts';
import { AppError, isAppError } from '../../base/errors.ts';
import { readNotes, removeNote, writeNote, type Note } from '../../repository/note.ts';
import type { Repository } from '../../repository/repository.ts';

export const signEveryMs = 5 * 60_000;
/** After so long without a sign nobody is there any more: two may have been missed. */
const silenceMaxMs = 3 * signEveryMs;

const signSchema = z.object({
  service: z.string(),
  generation: z.int(),
  /** `ended`: it stopped by itself. */
  state: z.enum(['lives', 'ended']),
  host: z.string(),
});

export interface Sign extends z.output<typeof signSchema> {
  readonly writtenAtMs: number;
  /** In the store. */
  readonly name: string;
}

export type OwnIdentity = Pick<Sign, 'service' | 'generation'>;

const purpose = 'service';

/** Of one service, the newest of the highest generation last. What is damaged or forged is none; `verify` names it. */
export async function readSigns(repository: Repository, service: string, signal: AbortSignal): Promise<Sign[]> {
  const { notes } = await readNotes(repository, { purpose, subject: service }, signal);
  return notes
    .flatMap(signOf)
    .toSorted((left, right) => left.generation - right.generation || left.writtenAtMs - right.writtenAtMs);
}

function signOf({ json, name, subject, writtenAtMs }: Note): Sign[] {
  const parsed = signSchema.safeParse(json);
  return parsed.success && parsed.data.service === subject ? [{ ...parsed.data, name, writtenAtMs }] : [];
}

/** Leaves a sign, and takes older ones away. Rejects with `SERVICE_REPLACED` if another one of a higher generation is there. */
export async function writeSign(
  repository: Repository,
  { service, generation, state }: OwnIdentity & Pick<Sign, 'state'>,
  signal: AbortSignal,
): Promise<void> {
  const before = await readSigns(repository, service, signal);
  refuseReplaced(before, generation);
  const json = { service, generation, state, host: hostname() };
  const { name } = await writeNote(repository, { purpose, subject: service, json }, signal);
  // Somebody may have written a higher one at the same moment; that one stays.
  const all = await readSigns(repository, service, signal);
  refuseReplaced(all, generation);
  try {
    for (const old of all) if (old.name !== name) await removeNote(repository, old.name, signal);
  } catch (error) {
    // Where nothing may be deleted there are more of them, and that is all.
    if (!isAppError(error, 'STORE_DENIED', 'STORE_READ_ONLY')) throw error;
  }
}

/**
 * Takes a generation for whoever recovers the state: the sign says that it does not work yet. Rejects with `SERVICE_ALIVE` if somebody else
 * takes it at the same moment; of two at most one has it then.
 */
export async function claimGeneration(
  repository: Repository,
  { service, generation }: OwnIdentity,
  signal: AbortSignal,
): Promise<void> {
  const isTaken = (signs: readonly Sign[], own?: string): boolean =>
    signs.some((sign) => sign.generation >= generation && sign.name !== own);
  if (isTaken(await readSigns(repository, service, signal))) throw takenMeanwhile();
  const json = { service, generation, state: 'ended', host: hostname() };
  const { name } = await writeNote(repository, { purpose, subject: service, json }, signal);
  if (!isTaken(await readSigns(repository, service, signal), name)) return;
  await removeNote(repository, name, signal);
  throw takenMeanwhile();
}

function takenMeanwhile(): AppError {
  return new AppError('SERVICE_ALIVE', 'the state is being recovered elsewhere at this moment', {
    hint: 'Let one machine recover it; run the command again if that one gave up.',
  });
}

export function refuseReplaced(signs: readonly Sign[], generation: number): void {
  const newest = signs.at(-1);
  if (newest === undefined || newest.generation <= generation) return;
  throw new AppError(
    'SERVICE_REPLACED',
    `this server was replaced: its state was recovered on ${newest.host} at ${new Date(newest.writtenAtMs).toISOString()}`,
    {
      hint: 'Leave this one stopped, and move its state folder away. To go on here instead, stop the other one and recover its state here.',
    },
  );
}

export interface Liveness {
  readonly seemsAlive: boolean;
  /** For people: `srv-1, 4 minutes ago`; absent where there was no sign. */
  readonly words: string | undefined;
}

/** By the clock of this machine; one that runs ahead makes nobody dead by less than it does. */
export function livenessOf(signs: readonly Sign[], nowMs: number): Liveness {
  const newest = signs.at(-1);
  if (newest === undefined) return { seemsAlive: false, words: undefined };
  const ageMs = nowMs - newest.writtenAtMs;
  const what = newest.state === 'ended' ? 'stopped' : 'gave a sign';
  const words = `${newest.host} ${what} ${formatAge(Math.max(0, ageMs))} ago`;
  return { seemsAlive: newest.state === 'lives' && ageMs < silenceMaxMs, words };
}
