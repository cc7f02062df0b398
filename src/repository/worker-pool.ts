// The worker threads of one repository: hand tasks to whichever is least busy, match answers to questions.
import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { asError } from '../base/errors.ts';
import type { Repository } from './repository.ts';
import type { WorkerSettings, WorkerTaskKind, WorkerTasks } from './worker-protocol.ts';

interface Waiting {
  readonly resolve: (result: never) => void;
  readonly reject: (error: unknown) => void;
}

interface Thread {
  readonly worker: Worker;
  readonly waiting: Map<number, Waiting>;
}

type Answer = { number: number } & ({ error: Error } | { result: never });

/** The threads given, or own ones that end with the caller's scope. */
export function workersFor(repository: Repository, given: Workers | undefined): Workers & AsyncDisposable {
  if (given === undefined) return new WorkerPool(repository);
  return {
    threadsMax: given.threadsMax,
    run: (kind, task, transfer) => given.run(kind, task, transfer),
    async [Symbol.asyncDispose]() {},
  };
}

/** `.ts` when run from source, `.js` when compiled. */
const workerFile = new URL(import.meta.url.endsWith('.ts') ? './blob-worker.ts' : './blob-worker.js', import.meta.url);

/** What users of the threads need of them; simulations work without threads. */
export type Workers = Pick<WorkerPool, 'run' | 'threadsMax'>;

export class WorkerPool implements AsyncDisposable {
  readonly #threads: Thread[] = [];
  readonly #settings: WorkerSettings;
  readonly threadsMax: number;
  #next = 0;
  #failure: Error | undefined;

  constructor(repository: Pick<Repository, 'keys' | 'config'>, threadsMax = availableParallelism()) {
    this.#settings = { keys: repository.keys, chunker: repository.config.chunker };
    this.threadsMax = Math.max(1, threadsMax);
  }

  /** Performs a task on some thread. Bytes whose buffer is in `transfer` are gone for the caller. */
  run<Kind extends WorkerTaskKind>(
    kind: Kind,
    task: WorkerTasks[Kind]['task'],
    transfer: ArrayBuffer[] = [],
  ): Promise<WorkerTasks[Kind]['result']> {
    const { promise, resolve, reject } = Promise.withResolvers<WorkerTasks[Kind]['result']>();
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    const thread = this.#pick();
    this.#next += 1;
    thread.waiting.set(this.#next, { resolve, reject });
    thread.worker.ref();
    thread.worker.postMessage({ number: this.#next, kind, task }, transfer);
    return promise;
  }

  /** An idle thread, a new one while there may be more, else the least busy. */
  #pick(): Thread {
    const [least] = this.#threads.toSorted((left, right) => left.waiting.size - right.waiting.size);
    if (least !== undefined && (least.waiting.size === 0 || this.#threads.length >= this.threadsMax)) return least;
    const thread = {
      worker: new Worker(workerFile, { workerData: this.#settings }),
      waiting: new Map<number, Waiting>(),
    };
    thread.worker.on('message', (answer: Answer) => settle(thread, answer));
    thread.worker.on('error', (error) => this.#fail(error));
    thread.worker.on('exit', (code) => {
      if (code !== 0) this.#fail(new Error(`a worker thread ended with code ${code}`));
    });
    this.#threads.push(thread);
    return thread;
  }

  #fail(cause: unknown): void {
    this.#failure ??= asError(cause);
    for (const { waiting } of this.#threads) {
      for (const { reject } of waiting.values()) reject(this.#failure);
      waiting.clear();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#failure ??= new Error('the worker threads were stopped');
    const failure = this.#failure;
    for (const { waiting } of this.#threads) for (const { reject } of waiting.values()) reject(failure);
    // What a thread still says while it ends concerns nobody, but an error that nobody hears would end the process.
    const ending = this.#threads.map(({ worker }) =>
      worker
        .removeAllListeners()
        .on('error', () => undefined)
        .terminate(),
    );
    await Promise.all(ending);
  }
}

/** An idle thread does not keep the process alive. */
function settle(thread: Thread, answer: Answer): void {
  const waiting = thread.waiting.get(answer.number);
  thread.waiting.delete(answer.number);
  if (thread.waiting.size === 0) thread.worker.unref();
  if ('error' in answer) waiting?.reject(answer.error);
  else waiting?.resolve(answer.result);
}
