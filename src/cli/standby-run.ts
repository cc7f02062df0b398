// Runs a standby in the foreground: puts source, repository and feed together, tells how far it is on the terminal and to whoever looks,
// records what it proves, and lets it take over when somebody asks for that.
import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { type AppError, errorKinds, isAppError, messageOf } from '../base/errors.ts';
import { lockFolder } from '../base/folder-lock.ts';
import type { Proof } from '../model/proof.ts';
import { followingFeedFrom } from '../operations/standby/following-feed.ts';
import { forgetPromotion, isPromotionRequested, readStandbyRecord } from '../operations/standby/standby-record.ts';
import {
  awayRepository,
  type LookedAtRepository,
  standbyRepository,
} from '../operations/standby/standby-repository.ts';
import type { StandbyEnd, StandbyFigures } from '../sources/standby.ts';
import { systemSleep } from '../storage/interruption.ts';
import type { CommandContext, OpenedRepository } from './context.ts';
import { sharedLock } from './recovery-point.ts';
import { openPatiently } from './standby-opening.ts';
import { StandbyProver } from './standby-prover.ts';
import { standbyRepositoryOf, type StandbySubject } from './standby-subject.ts';
import { StandbyTeller } from './standby-teller.ts';

export interface StandbyWish {
  readonly folder: string;
  readonly owner: string | undefined;
  readonly intervalMs: number;
  /** It is to take over as soon as it has all that there is. */
  readonly promotes: boolean;
}

export interface StandbyData {
  readonly component: string;
  readonly folder: string;
  readonly repository: string;
  readonly end: StandbyEnd;
  readonly figures: StandbyFigures | undefined;
  readonly proofs: readonly Pick<Proof, 'outcome' | 'time' | 'message'>[];
}

const requestPollMs = 500;

/** Rejects with `REPOSITORY_LOCKED` if another process keeps it. */
export async function runStandby(
  context: CommandContext,
  subject: StandbySubject,
  wish: StandbyWish,
): Promise<StandbyData> {
  const { component, recordFolder } = subject;
  await using stack = new AsyncDisposableStack();
  // What leads to the copy must let the server's account through.
  await mkdir(dirname(recordFolder), { recursive: true });
  await mkdir(recordFolder, { recursive: true, mode: 0o700 });
  await mkdir(wish.folder, { recursive: true });
  for (const folder of [recordFolder, wish.folder]) stack.use(await lockFolder(folder, lockWords(context)));
  await forgetPromotion(recordFolder);
  const promotion = new AbortController();
  if (wish.promotes) promotion.abort();
  else stack.defer(watchRequests(recordFolder, promotion));
  const { name, repository, opened } = await openFor(context, { subject, promotion: promotion.signal, stack });
  const teller = new StandbyTeller(context, {
    component: component.name,
    recordFolder,
    folder: wish.folder,
    repository: name,
  });
  const prover = new StandbyProver({ context, subject, repository, opened, teller });
  let end: StandbyEnd | undefined;
  try {
    end = await subject.source.standby.keep(
      {
        ...wish,
        repository,
        openFeed: followingFeedFrom({
          random: context.random,
          sleep: systemSleep,
          onFailure: (_name, error) => teller.trouble(error),
        }),
        events: teller,
        prove: (claim, signal) => prover.prove(claim, signal),
        promotion: promotion.signal,
      },
      context.signal,
    );
  } catch (error) {
    teller.failed(messageOf(error));
    throw error;
  } finally {
    await prover.end();
    await teller.end(end);
    await forgetPromotion(recordFolder);
  }
  const { newest: figures, proofs } = teller;
  return { component: component.name, folder: wish.folder, repository: name, end, figures, proofs };
}

interface Followed {
  readonly name: string;
  readonly repository: LookedAtRepository;
  /** Absent where it does not answer, and the standby is to take over with what it has. */
  readonly opened: OpenedRepository | undefined;
}

interface Opening {
  readonly subject: StandbySubject;
  readonly promotion: AbortSignal;
  readonly stack: AsyncDisposableStack;
}

/** One that is away is waited for, as it is later on; whoever is to take over does without it. */
async function openFor(context: CommandContext, { subject, promotion, stack }: Opening): Promise<Followed> {
  const { signal, progress } = context;
  try {
    const opened = await openPatiently({
      open: () => standbyRepositoryOf(context, subject),
      promotion,
      onAway({ message, hint }, isFirst) {
        if (isFirst) progress.note(`warning: ${message}; it is waited for\nhint: ${hint}`);
        progress.update({
          work: `standby of ${subject.component.name}`,
          detail: `waits for its repository: ${message}`,
        });
      },
      sleep: systemSleep,
      signal,
    });
    stack.use(opened);
    const { repository } = opened;
    const parts = { repository, component: subject.component.name, host: subject.application };
    const lock = () => sharedLock(repository, context);
    return { name: opened.settings.name, repository: standbyRepository({ ...parts, lock }), opened };
  } catch (error) {
    signal.throwIfAborted();
    if (!promotion.aborted || !isAppError(error) || !isLost(error)) throw error;
    const name = (await readStandbyRecord(subject.recordFolder))?.repository ?? '';
    return { name, repository: awayRepository(error), opened: undefined };
  }
}

/** Not what whoever promotes can mend at once, such as a password that is not there. */
function isLost(error: AppError): boolean {
  return errorKinds[error.code].retry === 'later' || isAppError(error, 'REPOSITORY_MISSING', 'NOT_FOUND');
}

function lockWords({ clock }: CommandContext) {
  return {
    what: 'the standby in',
    hint: "Stop that one, or keep this one elsewhere; 'lifeboat postgres promote' reaches one that runs.",
    sinceMs: clock.now(),
  };
}

/** Returns what ends it. */
function watchRequests(folder: string, promotion: AbortController): () => void {
  const timer = setInterval(() => {
    isPromotionRequested(folder).then(
      (isRequested) => isRequested && promotion.abort(),
      () => undefined, // Looked at again.
    );
  }, requestPollMs);
  return () => clearInterval(timer);
}
