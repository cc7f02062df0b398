// Begins a backup of the state as soon as the configuration is another one than the last backup holds: when a server starts for the first
// time, after lifeboat.yaml was changed, after the state was recovered. The schedule begins the others.
import type { Catalog } from '../catalog/catalog.ts';
import { hasOpenRun, type NewRun } from '../catalog/runs.ts';
import { selfBackupsOf } from '../catalog/service-self.ts';
import { selfBackupJobsOf } from '../model/job.ts';
import { Repeating } from '../workflow/repeating.ts';
import { filesVersion } from './file-version.ts';
import { runOfJob } from './job-runs.ts';
import { filesOf, type Tenant } from './tenant.ts';

export interface SelfBackupParts {
  readonly catalog: Catalog;
  readonly tenants: () => readonly Tenant[];
  readonly enqueue: (run: NewRun) => Promise<string>;
  readonly onProblem: (error: Error) => void;
}

const lookEveryMs = 10_000;

export function keepSelfBackups(parts: SelfBackupParts): AsyncDisposable {
  const begun = new Map<string, string>();
  const work = (): Promise<void> => beginSelfBackups(parts, begun);
  return new Repeating({ everyMs: lookEveryMs, work, onProblem: parts.onProblem });
}

/** `begun`: the version for which each job was begun. One that fails is tried again by its schedule, not at once for ever. */
export async function beginSelfBackups(
  { catalog, tenants, enqueue }: Omit<SelfBackupParts, 'onProblem'>,
  begun: Map<string, string>,
): Promise<void> {
  const all = tenants();
  const [first] = all;
  if (first === undefined) return;
  const { application } = first;
  const jobs = selfBackupJobsOf(application);
  if (jobs.length === 0) return;
  const version = await filesVersion([...new Set(all.flatMap(filesOf))]);
  const known = await selfBackupsOf(catalog, application.name);
  for (const job of jobs) {
    const { id, kind } = job;
    const last = known.find(({ repository }) => 'repository' in job && repository === job.repository);
    if (last?.version === version || begun.get(id) === version) continue;
    if (await hasOpenRun(catalog, { application: application.name, kind, job: id })) continue;
    begun.set(id, version);
    await enqueue(
      runOfJob(
        { application: application.name, job, round: 0 },
        { kind: 'request', by: last === undefined ? 'no backup yet' : 'changed configuration' },
      ),
    );
  }
}
