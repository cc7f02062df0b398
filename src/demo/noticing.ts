// What the server notices by itself, and tells: the mails that whoever is on call is sent when something breaks, and when it works again.
import { AppError } from '../base/errors.ts';
import { elapsedWords } from '../cli/style.ts';
import type { CommandContext } from '../cli/context.ts';
import { systemSleep } from '../storage/interruption.ts';
import type { Mail, Mailbox } from './mailbox.ts';
import type { StepResult } from './narrator.ts';

export interface Noticed extends Mail {
  /** After what it tells of. */
  readonly seconds: number;
}

const lookEveryMs = 50;
const waitMaxMs = 120_000;

export interface Expected {
  readonly mailbox: Mailbox;
  /** How its subject begins. */
  readonly sign: '[CRITICAL]' | '[RESOLVED]';
  readonly sinceMs: number;
  /** What the mail shows, as a clause. */
  readonly meaning: string;
}

export async function awaitMail(
  { clock, signal }: CommandContext,
  { mailbox, sign, sinceMs, meaning }: Expected,
): Promise<StepResult<Noticed>> {
  const deadlineMs = clock.now() + waitMaxMs;
  for (;;) {
    const mail = mailbox.mails.find(({ subject, receivedMs }) => receivedMs >= sinceMs && subject.startsWith(sign));
    if (mail !== undefined) {
      const result = { ...mail, seconds: (mail.receivedMs - sinceMs) / 1000 };
      const text = `${meaning}: after ${elapsedWords(mail.receivedMs - sinceMs)} a mail says "${mail.subject}"`;
      return { text, facts: result, result };
    }
    if (clock.now() > deadlineMs) {
      throw new AppError('INCONCLUSIVE', `no mail came in ${waitMaxMs / 1000} s that begins with ${sign}`, {
        hint: 'Start again when the machine has less to do.',
      });
    }
    await systemSleep(lookEveryMs, signal);
  }
}
