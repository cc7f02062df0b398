// Hands a recovering server its files from a folder that is filled beforehand: for tests of recoveries that are not about fetching.
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Feed, FeedRequest } from '../../src/sources/replay.ts';

export async function plainFeed(request: FeedRequest, signal: AbortSignal): Promise<Feed> {
  const folder = await mkdtemp(join(request.parentFolder, 'feed-'));
  await chmod(folder, 0o755);
  const broken = new AbortController();
  for (const file of request.files) {
    try {
      await writeFile(join(folder, file.name), await file.read(signal));
    } catch (error) {
      broken.abort(error);
      break;
    }
  }
  return {
    command: `if [ -f ${folder}/%f ]; then cp ${folder}/%f %p; else exit 1; fi`,
    signal: broken.signal,
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
  };
}
