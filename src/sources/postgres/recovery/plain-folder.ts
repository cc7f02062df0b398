// Restores a physical backup without any journal: a data directory as it was where the backup ends, ready to be started.
import { AppError } from '../../../base/errors.ts';
import type { RecoveryReader, RestoreDecision, RestoreRequest } from '../../source.ts';
import type { PostgresOptions } from '../options.ts';
import { planFolder, writeStep } from './replay-decision.ts';
import { executePlainFolder } from './replay-execution.ts';

export async function decidePlainFolder(
  options: PostgresOptions,
  { reader, request }: { readonly reader: RecoveryReader; readonly request: RestoreRequest },
  signal: AbortSignal,
): Promise<RestoreDecision> {
  const { to, include, places = [], owner } = request;
  if (to === undefined || !to.startsWith('/')) throw notIntoServers(to);
  if (include.length > 0) {
    throw new AppError('USAGE', 'a physical backup comes back whole: --include does not go with it', {
      hint: 'Restore it into a folder, start PostgreSQL on it, and take single databases from there with pg_dump.',
    });
  }
  const wish = { to, places, owner, newTablespaces: [], needsServer: false };
  const plan = await planFolder({ options, reader }, wish, signal);
  return {
    target: `data directory ${plan.folder}`,
    replaces: plan.replaces,
    steps: [writeStep(plan)],
    findings: plan.findings,
    execute: (progress, executeSignal) => executePlainFolder({ plan, reader }, progress, executeSignal),
  };
}

function notIntoServers(to: string | undefined): AppError {
  const where = to === undefined ? 'the server it came from' : `'${to}'`;
  return new AppError('USAGE', `a physical backup is the data directory of a server: it can't be fed to ${where}`, {
    hint: 'Restore it into a folder with --to /srv/postgres-copy and start PostgreSQL on it; bring databases over with pg_dump and pg_restore.',
  });
}
