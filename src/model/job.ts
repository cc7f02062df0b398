// What runs by itself in an application: one job for each thing that a policy asks for, with all moments at which it comes.
import { AppError } from '../base/errors.ts';
import type { Application } from './application.ts';
import type { Component } from './component.ts';
import { retentionIn, type Policy, type Verification } from './policy.ts';
import type { Schedule } from './schedule.ts';
import type { TimeWindow } from './time-window.ts';

/** What a job does. */
export type JobWork =
  | { readonly kind: 'backup' | 'proof'; readonly component: string; readonly repositories: readonly string[] }
  | {
      readonly kind: 'copy';
      readonly component: string;
      readonly from: string;
      readonly to: string;
      readonly snapshots: 'all' | 'newest';
    }
  | { readonly kind: 'retention'; readonly repository: string; readonly components: readonly string[] }
  | {
      readonly kind: 'verification';
      readonly repository: string;
      readonly components: readonly string[];
      readonly level: Verification['level'];
      readonly readDataShare: number | undefined;
    }
  | {
      readonly kind: 'self-backup';
      readonly repository: string;
      /** It is about none. */
      readonly components: readonly string[];
    };

export type Job = JobWork & {
  /** `backup/database`, `copy/database/local/offsite`: the same as long as the configuration says the same of it. */
  readonly id: string;
  /** For `nextTimes`. */
  readonly seed: string;
  readonly schedules: readonly Schedule[];
  /** That of its component: what comes then begins at its end. */
  readonly maintenance: readonly TimeWindow[];
  /** Those of its component, which its worker must carry. */
  readonly labels: readonly string[];
};

/** All jobs that the policies of an application ask for, those of a repository once for all its components. */
export const jobsOf = onceForEach((application) => {
  const { components, repositories } = application;
  // Of an archive the bucket expires whole months.
  const archives = new Set(repositories.flatMap(({ name, archive }) => (archive === undefined ? [] : [name])));
  const works = [
    ...components.flatMap(componentWorks),
    ...verificationWorks(components),
    ...retentionWorks(components).filter(({ work }) => work.kind !== 'retention' || !archives.has(work.repository)),
  ];
  return works.map((work) => jobOf(application, work));
});

/** Many ask, and an application does not change: one that is configured anew is another one. */
function onceForEach(work: (application: Application) => readonly Job[]): (application: Application) => readonly Job[] {
  const known = new WeakMap<Application, readonly Job[]>();
  return (application) => {
    const jobs = known.get(application) ?? work(application);
    known.set(application, jobs);
    return jobs;
  };
}

/** And those that the service does for itself in its repositories; of several applications it asks the first one. */
export const allJobsOf = onceForEach((application) => [...jobsOf(application), ...selfBackupJobsOf(application)]);

/** Each repository by itself: one that is away keeps none of the others from its backup. */
export function selfBackupJobsOf(application: Application): Job[] {
  const { selfBackup } = application;
  if (selfBackup === undefined) return [];
  const { repositories, schedules } = selfBackup;
  return repositories.map((repository) =>
    jobOf(application, {
      id: `self-backup/${repository}`,
      schedules,
      work: { kind: 'self-backup', repository, components: [] },
    }),
  );
}

/** That servers carry, and workers do not. */
export const serverLabel = 'lifeboat=server';

function jobOf(application: Application, { id, schedules, work, component }: PlannedWork): Job {
  const { maintenance = [], labels = work.kind === 'self-backup' ? [serverLabel] : [] } = component ?? {};
  return { ...work, id, seed: `${application.name}/${id}`, schedules, maintenance, labels };
}

/** Also those that nothing starts by itself, but people may: backup and proof of each component, verification of each repository. */
export const jobsOnDemand = onceForEach((application) => {
  const { components, repositories } = application;
  const scheduled = jobsOf(application);
  const known = new Set(scheduled.map(({ id }) => id));
  const ofComponents = components.flatMap((component) =>
    (['backup', 'proof'] as const).map((kind): PlannedWork => {
      const { name, policy } = component;
      const work = { kind, component: name, repositories: policy.targets.map(({ repository }) => repository) };
      return { id: `${kind}/${name}`, schedules: [], work, component };
    }),
  );
  const ofRepositories = repositories.flatMap(({ name: repository }) =>
    (['structure', 'data'] as const).map((level): PlannedWork => {
      const own = components.filter(({ policy }) => repositoriesOf(policy).includes(repository));
      const names = own.map(({ name }) => name);
      const work = { kind: 'verification', repository, level, readDataShare: undefined, components: names } as const;
      return { id: `verification/${repository}/${level}`, schedules: [], work };
    }),
  );
  const others = [...ofComponents, ...ofRepositories].filter(({ id }) => !known.has(id));
  return [...scheduled, ...others.map((work) => jobOf(application, work))];
});

/** Whether a job is about the component, alone or among others. */
export function concerns(job: JobWork, component: string): boolean {
  return 'components' in job ? job.components.includes(component) : job.component === component;
}

interface PlannedWork {
  readonly id: string;
  readonly schedules: readonly Schedule[];
  readonly work: JobWork;
  /** That it is about, if it is one. */
  readonly component?: Component;
}

function componentWorks(component: Component): PlannedWork[] {
  const { name, policy } = component;
  const repositories = policy.targets.map(({ repository }) => repository);
  const works: PlannedWork[] = [];
  const add = (kind: 'backup' | 'proof', schedules: readonly Schedule[]): void => {
    if (schedules.length === 0) return;
    works.push({ id: `${kind}/${name}`, schedules, work: { kind, component: name, repositories }, component });
  };
  add('backup', policy.schedules);
  for (const { from, to, snapshots, schedules } of policy.copies) {
    const work = { kind: 'copy', component: name, from, to, snapshots } as const;
    works.push({ id: `copy/${name}/${from}/${to}`, schedules, work, component });
  }
  add('proof', [policy.proof?.schedule ?? []].flat());
  return works;
}

const repositoriesOf = ({ targets, copies }: Policy): string[] => [
  ...new Set([...targets.map(({ repository }) => repository), ...copies.map(({ to }) => to)]),
];

/** Components that ask the same of a repository are served by one run. */
function verificationWorks(components: readonly Component[]): PlannedWork[] {
  const asked = components.flatMap(({ name, policy }) => {
    const { verification } = policy;
    if (verification === undefined) return [];
    return repositoriesOf(policy).map((repository) => ({ name, repository, verification }));
  });
  const groups = Map.groupBy(asked, ({ repository, verification: { level, readDataShare } }) =>
    [repository, level, ...(readDataShare === undefined ? [] : [String(readDataShare)])].join('/'),
  );
  return [...groups].flatMap(([key, group]) => {
    const [first] = group;
    if (first === undefined) return [];
    const { repository, verification } = first;
    const { level, readDataShare } = verification;
    const schedules = eachOnce(group.flatMap(({ verification: { schedule } }) => schedule));
    const work = { kind: 'verification', repository, level, readDataShare, components: group.map(({ name }) => name) };
    return [{ id: `verification/${key}`, schedules, work: work as JobWork }];
  });
}

/** One run removes for all components, and frees the space once. */
function retentionWorks(components: readonly Component[]): PlannedWork[] {
  const repositories = new Set(components.flatMap(({ policy }) => repositoriesOf(policy)));
  return [...repositories].flatMap((repository) => {
    const own = components.filter(({ policy }) => Object.keys(retentionIn(policy, repository) ?? {}).length > 0);
    if (own.length === 0) return [];
    const schedules = eachOnce(own.flatMap(({ policy }) => policy.retentionSchedules));
    const work = { kind: 'retention', repository, components: own.map(({ name }) => name) } as const;
    return [{ id: `retention/${repository}`, schedules, work }];
  });
}

function eachOnce(schedules: readonly Schedule[]): Schedule[] {
  return [...new Map(schedules.map((schedule) => [JSON.stringify(schedule), schedule])).values()];
}

/** Jobs that follow themselves, over others or at once: once started, they would never end. */
export function jobsInRings(jobs: readonly Job[]): Job[] {
  return jobs.filter((start) => {
    const reached = new Set<Job>();
    const toVisit = [start];
    for (let job = toVisit.pop(); job !== undefined; job = toVisit.pop()) {
      for (const awaited of awaitedJobs(job, jobs)) {
        if (!reached.has(awaited)) toVisit.push(awaited);
        reached.add(awaited);
      }
    }
    return reached.has(start);
  });
}

/** Those of which each, when it ends well, starts the job. */
export function awaitedJobs(job: Job, jobs: readonly Job[]): Job[] {
  return job.schedules.flatMap((schedule) => {
    if (schedule.kind !== 'after') return [];
    return jobs.filter((other) => other.kind === schedule.job && isMeant(other, schedule.component, job));
  });
}

function isMeant(job: Job, component: string | undefined, waiting: Job): boolean {
  if (component !== undefined) return concerns(job, component);
  if ('component' in waiting) return concerns(job, waiting.component);
  return waiting.components.some((name) => concerns(job, name));
}

/** What is to be done before an event of this name. */
export function jobsBefore(jobs: readonly Job[], event: string): Job[] {
  return jobs.filter(({ schedules }) => schedules.some((one) => one.kind === 'before' && one.event === event));
}

/** Rejects what nobody asked for by a name that is known. */
export function noSuchJob(name: string, jobs: readonly Job[]): AppError {
  const names = jobs.map(({ id }) => id).join(', ');
  return new AppError('NOT_FOUND', `there is no job ${name}`, { hint: `There are ${names || 'none'}.` });
}

export function noJobBefore(event: string): AppError {
  return new AppError('NOT_FOUND', `no job is to be done before ${event}`, {
    hint: `Give a policy the schedule { before: ${event} }.`,
  });
}
