// How a worker hears of runs. What a queue says is a hint: whether a run may be begun, and by whom, is decided where it is claimed. So a
// queue may speak twice or too early; it must not stay silent for ever.
import type { ClaimableRun } from '../catalog/runs.ts';
import { labelsIn } from '../catalog/workers.ts';

/** From this priority on. */
const urgentPriority = 10;

export const isUrgent = ({ priority }: Pick<OfferedRun, 'priority'>): boolean => priority >= urgentPriority;

export interface OfferedRun {
  readonly id: string;
  readonly labels: readonly string[];
  readonly priority: number;
  /** Not before. */
  readonly wakeAtMs: number | undefined;
}

export interface Subscription {
  /** Labels that the worker carries. */
  readonly labels: readonly string[];
  /** Of runs that it knows how to carry out. */
  readonly kinds: readonly string[];
  /** Whether it can work for an application, and reach a component of it where the run is about one; for all if absent. */
  readonly takes?: ((application: string, component: string | null) => boolean) | undefined;
  /** Whether it can work for any at all just now; always if absent. */
  readonly isReady?: (() => boolean) | undefined;
  /** So many at once; and beyond that one that is urgent, where none is at work: what others wait for must not keep it. */
  readonly runsMax: number;
  /** Tries to claim the run and carries it out; resolves when this worker has nothing more to do with it. */
  take(runId: string): Promise<void>;
}

export interface Queue extends AsyncDisposable {
  /** After the run was stored. */
  offer(run: OfferedRun): Promise<void>;
  /** Until what it returns is closed: that waits for what was taken. */
  subscribe(subscription: Subscription): Promise<AsyncDisposable>;
}

/** Whether there is room for one more beside those that were taken. */
export function hasRoom(
  { runsMax }: Pick<Subscription, 'runsMax'>,
  taken: readonly { readonly isUrgent: boolean }[],
  run: { readonly isUrgent: boolean },
): boolean {
  return taken.length < runsMax || (run.isUrgent && !taken.some((one) => one.isUrgent));
}

/** Whether a worker may take a run: it knows how and whom for, and carries every label that is asked for. */
export function fits(
  { labels, kinds, takes }: Pick<Subscription, 'labels' | 'kinds' | 'takes'>,
  run: Pick<ClaimableRun, 'kind' | 'application' | 'component' | 'labels'>,
): boolean {
  const isKnown = takes === undefined || run.application === null || takes(run.application, run.component);
  return isKnown && kinds.includes(run.kind) && labelsIn(run.labels).every((label) => labels.includes(label));
}
