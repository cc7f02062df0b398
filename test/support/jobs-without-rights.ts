// Starts three jobs at once as a user without rights, and tells its parent what each of them returned. Its argument: the launcher.
import { existsSync } from 'node:fs';
import { runJob } from '../../src/service/job-process.ts';

const [, , launcherPath = ''] = process.argv;
const nobody = 65_534;
if (process.getuid?.() === 0) {
  process.setgroups?.([]);
  process.setgid?.(nobody);
  process.setuid?.(nobody);
}
if (!existsSync(launcherPath)) throw new Error(`${launcherPath} can't be seen without rights`);
const command = { launcherPath, args: ['verify'], workingFolder: '/', variables: {} };
const events = { onNote: () => undefined, onStatus: () => undefined };
const signal = AbortSignal.timeout(60_000);
const outcomes = await Promise.all([1, 2, 3].map(() => runJob(command, events, signal)));
const nices = outcomes.map(({ summary }) => summary?.['nice']);
process.send?.(nices, undefined, undefined, () => process.disconnect?.());
