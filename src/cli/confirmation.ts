// Consent to what overwrites or deletes: `--yes`, or a word typed on a terminal. Nothing happens by a slip of the Enter key.
import { AppError } from '../base/errors.ts';
import type { CommandContext } from './context.ts';

type Asking = Pick<CommandContext, 'prompter' | 'progress'>;

/** Rejects with `CONFIRMATION_NEEDED` unless consent was given. `what` completes "This will …". */
export async function requireConsent({ prompter, progress }: Asking, what: string, isGiven: boolean): Promise<void> {
  if (isGiven) return;
  if (prompter === undefined) {
    throw new AppError('CONFIRMATION_NEEDED', `this would ${what}, and was not confirmed`, {
      hint: 'Look at it with --dry-run, then give --yes.',
    });
  }
  progress.clear();
  const answer = await prompter.text(`This will ${what}. Type 'yes' to go on`);
  if (answer.trim().toLowerCase() !== 'yes') {
    throw new AppError('CONFIRMATION_NEEDED', `not confirmed, so nothing was changed`, {
      hint: "Type 'yes' when asked, or give --yes.",
    });
  }
}
