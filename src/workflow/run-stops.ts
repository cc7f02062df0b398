// Why the function of a run is left before its end. None of them is a failure of the run.
import type { Hold } from '../catalog/runs.ts';

/** Somebody else has the run, or may have it: nothing may be written for it any more. */
export class RunFenced extends Error {
  override readonly name = 'RunFenced';
  constructor({ id, epoch }: Hold) {
    super(`run ${id} is no longer held at epoch ${epoch}`);
  }
}

/** It waits for a signal or a time; whoever takes it then begins its function anew. */
export class RunParked extends Error {
  override readonly name = 'RunParked';
  constructor({ id }: Hold) {
    super(`run ${id} waits`);
  }
}

/** Somebody wants it to end. */
export class RunCancelled extends Error {
  override readonly name = 'RunCancelled';
  constructor({ id }: Hold) {
    super(`run ${id} was cancelled`);
  }
}

/** The worker ends; the run goes on elsewhere, or after its restart. */
export class WorkerStopping extends Error {
  override readonly name = 'WorkerStopping';
  constructor() {
    super('the worker ends');
  }
}
