// A new password for a repository: from a file, or asked twice on a terminal, never from the command line.
import { AppError } from '../base/errors.ts';
import type { CommandContext } from './context.ts';

export async function newPassword(context: CommandContext, file: string | undefined): Promise<string> {
  if (file !== undefined) return context.readPasswordFile(file);
  const { prompter, progress } = context;
  if (prompter === undefined) {
    throw new AppError('PASSWORD_MISSING', 'no new password was given', {
      hint: 'Name a file that holds it with --new-password-file.',
    });
  }
  progress.clear();
  const password = (await prompter.secret('New password')).trim();
  if (password === '') throw new AppError('USAGE', 'the new password is empty', { hint: 'Run the command again.' });
  const repeated = (await prompter.secret('The same once more')).trim();
  if (password === repeated) return password;
  throw new AppError('USAGE', 'the two passwords differ', { hint: 'Run the command again.' });
}
