// Data directories to copy servers from: one of each major for all processes of a run of the tests, since to make one takes a second.
import { existsSync } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf } from '../../src/base/errors.ts';

/** Of the folder that holds them, which whoever began the run removes. */
export const templatesVariable = 'LIFEBOAT_TEST_TEMPLATES';

/** `make` puts a new one into a folder of its own, and returns that. Returns where the template is; undefined outside of a run. */
export async function sharedTemplate(major: number, make: () => Promise<string>): Promise<string | undefined> {
  const folder = process.env[templatesVariable];
  if (folder === undefined || !existsSync(folder)) return undefined;
  const shared = join(folder, String(major));
  if (existsSync(shared)) return shared;
  const own = await make();
  try {
    await rename(own, shared);
  } catch (error) {
    // Another process was faster.
    if (!['EEXIST', 'ENOTEMPTY'].includes(errnoOf(error) ?? '')) throw error;
    await rm(own, { recursive: true, force: true });
  }
  return shared;
}
