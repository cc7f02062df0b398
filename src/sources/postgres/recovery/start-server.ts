// Starts a server on a recovered data directory and leaves it running: with its own configuration, as an administrator would.
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError, errnoOf } from '../../../base/errors.ts';
import type { Finding } from '../../../model/finding.ts';
import type { RecoveryReader } from '../../source.ts';
import { collectMessages, isOpenToAll, spawnServerProgram } from '../server-process.ts';
import { dataFolder } from './data-folder.ts';
import { ownSettingsFile } from './recovery-settings.ts';
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
  // pg_ctl itself says only that something is in the log.
  const why = (await complaintsIn(log)) || messages() || `see ${log}`;
  throw new AppError('SOURCE_UNREACHABLE', `${folder} is recovered, but no server started on it: ${why}`, {
    hint: `Mend ${ownSettingsFile} or postgresql.conf there, and start it by hand; all it said is in ${log}.`,
  });
}

const complaintsMax = 3;

/** The server's last words; nothing where it writes them elsewhere. */
async function complaintsIn(log: string): Promise<string> {
  try {
    const lines = (await readFile(log, 'utf8')).split('\n');
    // Whatever its log_line_prefix puts before.
    const told = lines.flatMap(
      (line) => /(?:LOG: {2}(?=could not )|(?:FATAL|PANIC|HINT): {2})(.*)$/.exec(line)?.[1] ?? [],
    );
    return told.slice(-complaintsMax).join('; ');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return '';
    throw error;
  }
}
