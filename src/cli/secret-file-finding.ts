// A file that holds a password must be for its owner alone, wherever it was named.
import { access, constants, stat } from 'node:fs/promises';
import { errnoOf } from '../base/errors.ts';
import type { Finding } from '../model/finding.ts';

export async function secretFileFinding(aspect: string, path: string): Promise<Finding> {
  try {
    const { mode } = await stat(path);
    await access(path, constants.R_OK);
    if ((mode & 0o077) === 0) return { aspect, outcome: 'passed', message: `${path} is for its owner alone` };
    const hint = `Run 'chmod 600 ${path}'.`;
    return { aspect, outcome: 'warning', message: `${path} can be read by others on this machine`, hint };
  } catch (error) {
    const hint = 'Name the right file, or let this user read it.';
    return { aspect, outcome: 'failed', message: `${path} can't be read (${errnoOf(error) ?? 'error'})`, hint };
  }
}
