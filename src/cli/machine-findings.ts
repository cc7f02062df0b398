// How this machine stands: the program itself and space. The part of `doctor` that no server has to
// answer.
import { access, constants } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { errnoOf } from '../base/errors.ts';
import type { Finding } from '../model/finding.ts';
import type { CommandContext } from './context.ts';
import { spaceFinding } from './repository-findings.ts';

export async function* checkMachine(context: CommandContext): AsyncGenerator<Finding> {
  yield {
    aspect: 'program',
    outcome: 'passed',
    message: `lifeboat ${context.programVersion} on Node ${process.versions.node}, ${process.platform} ${process.arch}`,
  };
  yield await launcherFinding(context.launcherPath);
  yield await folderFinding('temporary folder', tmpdir());
  yield await spaceFinding('temporary space', tmpdir());
  yield await cacheFinding(context.cacheFolder);
}

/** "Permission denied" when a script or a timer starts the program is nearly always this bit. */
async function launcherFinding(path: string): Promise<Finding> {
  const aspect = 'launcher';
  try {
    await access(path, constants.X_OK);
    return { aspect, outcome: 'passed', message: `${path} may be executed` };
  } catch (error) {
    const hint = `Run 'chmod +x ${path}'.`;
    return { aspect, outcome: 'warning', message: `${path} may not be executed (${errnoOf(error) ?? 'error'})`, hint };
  }
}

async function folderFinding(aspect: string, path: string): Promise<Finding> {
  try {
    await access(path, constants.W_OK | constants.X_OK);
    return { aspect, outcome: 'passed', message: `${path} can be written` };
  } catch (error) {
    const hint = 'Give this user the right to write there, or set TMPDIR to another folder.';
    return { aspect, outcome: 'failed', message: `${path} can't be written (${errnoOf(error) ?? 'error'})`, hint };
  }
}

/** A missing cache folder is made on first use; one of another user is what goes wrong after a run under sudo. */
async function cacheFinding(path: string): Promise<Finding> {
  const aspect = 'cache folder';
  try {
    await access(path, constants.W_OK | constants.X_OK);
    return { aspect, outcome: 'passed', message: `${path} can be written` };
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return { aspect, outcome: 'passed', message: `${path} is made when it is needed` };
    const hint = `Run 'chown -R' on it, or name another one with --cache-folder.`;
    return { aspect, outcome: 'warning', message: `${path} can't be written (${errnoOf(error) ?? 'error'})`, hint };
  }
}
