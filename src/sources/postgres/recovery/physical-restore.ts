// Restores a physical backup without any journal: into a folder as a data directory that is ready to be started, else its
// databases into a running server.
import { AppError } from '../../../base/errors.ts';
import type { RecoveryReader, RestoreDecision, RestoreRequest } from '../../source.ts';
import type { PostgresOptions } from '../options.ts';
import { decideDatabases } from './databases-over-copy.ts';
import { planFolder, writeStep } from './replay-decision.ts';
import { executePlainFolder } from './replay-execution.ts';

export async function decidePhysical(
  options: PostgresOptions,
  { reader, request }: { readonly reader: RecoveryReader; readonly request: RestoreRequest },
  signal: AbortSignal,
): Promise<RestoreDecision> {
  const { to, include, places = [], owner } = request;
  if (to === undefined || !to.startsWith('/')) return decideDatabases({ options, reader, request }, signal);
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
