// The command lines of a job: what the service does can be done by hand, word for word.
import type { JobWork } from '../model/job.ts';

export interface JobStep {
  /** Of the step in the run: unique in it, and the same each time. */
  readonly name: string;
  /** Without the program and the configuration. */
  readonly args: readonly string[];
}

/** A lock that others hold is waited for: a backup may run while it is time to remove old ones. */
const lockWait = ['--retry-lock', '1h'];

/** What one run of a job is asked for. */
export interface JobWishes {
  /** Counts the runs of the job, so that a verification of a part takes another one each time. */
  readonly round: number;
  /** A note for what is backed up. */
  readonly description?: string | undefined;
  /** Of what is backed up. */
  readonly tags?: readonly string[] | undefined;
  /** What is to be proven, in place of the newest. */
  readonly point?: { readonly snapshot: string; readonly repository: string } | undefined;
}

export interface JobPlace {
  /** The files of all applications of the service. */
  readonly configurations: readonly string[];
}

export function stepsOfJob(
  work: JobWork,
  { round, description, tags = [], point, configurations }: JobWishes & JobPlace,
): JobStep[] {
  if (work.kind === 'copy') {
    const { component, from, to, snapshots } = work;
    const which = snapshots === 'newest' ? ['latest'] : [];
    return [step(`copy to ${to}`, 'copy', ...which, '--component', component, '--from', from, '--to', to)];
  }
  if ('component' in work) {
    const { kind, component, repositories } = work;
    if (kind === 'proof') {
      const which = point === undefined ? [] : ['--from', point.snapshot, '--repository', point.repository];
      return [step('proof', 'prove', component, ...which)];
    }
    // In one word with its option: it may begin with a dash.
    const note = description === undefined ? [] : [`--description=${description}`];
    const words = [...tags.map((tag) => `--tag=${tag}`), ...note];
    return repositories.map((repository) =>
      step(`backup to ${repository}`, 'backup', component, '--repository', repository, ...words),
    );
  }
  const { repository } = work;
  if (work.kind === 'self-backup')
    return [step('self-backup', 'service', 'backup', ...configurations, '--repository', repository)];
  if (work.kind === 'retention') return [step('retention', 'retention', '--yes', '--repository', repository)];
  return [step('verification', 'verify', ...depthOf(work, round), '--repository', repository)];
}

const step = (name: string, ...args: string[]): JobStep => ({ name, args: [...args, ...lockWait] });

function depthOf({ level, readDataShare }: Extract<JobWork, { kind: 'verification' }>, round: number): string[] {
  if (level === 'structure') return [];
  const parts = Math.round(1 / (readDataShare ?? 1));
  return parts <= 1 ? ['--read-data'] : ['--sample', `${(round % parts) + 1}/${parts}`];
}

/** Of jobs with the same key one runs at a time. */
export function concurrencyKeyOf(application: string, work: JobWork): string {
  return 'component' in work
    ? `${application}/component/${work.component}`
    : `${application}/repository/${work.repository}`;
}
