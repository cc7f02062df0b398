// Starts a server on a recovered data directory and leaves it running: with its own configuration, as an administrator would.
import { once } from 'node:events';
import { join } from 'node:path';
import { AppError } from '../../../base/errors.ts';
import type { Finding } from '../../../model/finding.ts';
import type { RecoveryReader } from '../../source.ts';
import { collectMessages, isOpenToAll, spawnServerProgram } from '../server-process.ts';
import { dataFolder } from './data-folder.ts';
import type { FolderPlan } from './replay-decision.ts';

const logFile = 'lifeboat-start.log';
const waitMaxSeconds = 600;

/** Its configuration has to be in the backup, and its programs where they stay. */
export async function startFinding(
  { programs, owner }: FolderPlan,
  reader: RecoveryReader,
  signal: AbortSignal,
): Promise<Finding> {
  const aspect = 'start';
  const failed = (message: string, hint: string): Finding => ({ aspect, outcome: 'failed', message, hint });
  const byHand = 'Leave --start out, and start it as you start servers here.';
  let hasConfiguration = false;
  for await (const { path } of reader.entries(signal)) hasConfiguration ||= path === `${dataFolder}/postgresql.conf`;
  if (!hasConfiguration) return failed('the configuration of the server is kept outside its data directory', byHand);
  if (programs === undefined || (owner.account !== undefined && !(await isOpenToAll(programs.folder)))) {
    return failed(`the programs of the server are not where ${owner.name} may run them`, byHand);
  }
  return { aspect, outcome: 'passed', message: `${owner.name} may run ${programs.folder}` };
}

/** Says where it writes its log. The data directory is complete whether or not it starts. */
export async function startServer({ folder, programs, owner }: FolderPlan, signal: AbortSignal): Promise<string> {
  const log = join(folder, logFile);
  const place = { programFolder: programs?.folder ?? '', folder, account: owner.account };
  const flags = ['-D', folder, '-l', log, '-w', '-t', String(waitMaxSeconds), 'start'];
  const child = spawnServerProgram(place, 'pg_ctl', flags);
  const messages = collectMessages(child);
  const [code] = (await once(child, 'exit', { signal })) as [number | null];
  if (code === 0) return `a server runs on it; its log is ${log}`;
  throw new AppError(
    'SOURCE_UNREACHABLE',
    `${folder} is recovered, but no server started on it: ${messages() || `see ${log}`}`,
    {
      hint: `Read ${log}, mend the configuration, and start it by hand.`,
    },
  );
}
