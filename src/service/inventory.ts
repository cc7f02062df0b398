// What the repositories of each application hold, looked at again and again and after each run that may have changed it: the command
// `status` in a process of its own.
import { asError, messageOf } from '../base/errors.ts';
import type { Catalog } from '../catalog/catalog.ts';
import { applicationsEndedWithin } from '../catalog/run-history.ts';
import { Repeating } from '../workflow/repeating.ts';
import { runJob, type Launcher } from './job-process.ts';
import { configOption, type Tenant } from './tenant.ts';

/** `problem`: why nobody could look. */
export type Seen = { readonly atMs: number } & (
  | { readonly document: unknown; readonly problem?: undefined }
  | { readonly problem: string }
);

export interface InventoryParts {
  readonly catalog: Catalog;
  readonly launcher: Launcher;
  readonly tenants: () => readonly Tenant[];
  readonly onSeen: (tenant: Tenant, seen: Seen) => Promise<void>;
  readonly onProblem: (error: Error) => void;
}

const tickMs = 5000;
const lookMaxMs = 5 * 60_000;
const lookMinMs = 10_000;
/** From the moment noted as the end of a run until others can read it. */
const writtenMaxMs = 1000;
/** Of the shortest RPO: what is about to be breached must be seen in time. */
const lookShare = 0.25;

export class InventoryKeeper implements AsyncDisposable {
  readonly #parts: InventoryParts;
  readonly #abort = new AbortController();
  /** When each was looked at, on the clock that never jumps. */
  readonly #lookedMs = new Map<string, number>();
  readonly #looking: Repeating;
  /** Up to when it is known which runs have ended. */
  #heardMs: number | undefined;

  constructor(parts: InventoryParts) {
    this.#parts = parts;
    this.#looking = new Repeating({ everyMs: tickMs, work: () => this.#look(), onProblem: parts.onProblem });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#abort.abort(new Error('the service ends'));
    await this.#looking[Symbol.asyncDispose]();
  }

  async #look(): Promise<void> {
    const { signal } = this.#abort;
    const changed = new Set(await this.#heardOfRuns());
    for (const tenant of this.#parts.tenants()) {
      const { name } = tenant.application;
      const lookedMs = this.#lookedMs.get(name) ?? -Infinity;
      const isTime = performance.now() - lookedMs >= lookEveryMs(tenant);
      if (!changed.has(name) && !isTime) continue;
      this.#lookedMs.set(name, performance.now());
      try {
        const seen = await this.#seen(tenant, await this.#parts.catalog.nowMs());
        if (signal.aborted) return;
        await this.#parts.onSeen(tenant, seen);
      } catch (error) {
        this.#parts.onProblem(asError(error)); // It is no reason not to look at the others.
      }
    }
  }

  /** Applications of which a run has ended since the last look, whichever worker carried it out. */
  async #heardOfRuns(): Promise<string[]> {
    const { catalog } = this.#parts;
    const untilMs = (await catalog.nowMs()) - writtenMaxMs;
    const ended = await applicationsEndedWithin(catalog, this.#heardMs ?? untilMs, untilMs);
    this.#heardMs = untilMs;
    return ended;
  }

  async #seen(tenant: Tenant, atMs: number): Promise<Seen> {
    const { launcher } = this.#parts;
    const events = { onNote: () => undefined, onStatus: () => undefined };
    const command = { ...launcher, args: ['status', ...configOption(tenant)] };
    try {
      const { summary = {} } = await runJob(command, events, this.#abort.signal);
      return { document: summary, atMs };
    } catch (error) {
      return { problem: messageOf(error), atMs };
    }
  }
}

function lookEveryMs({ application }: Tenant): number {
  const shortestMs = Math.min(...application.components.map(({ objectives }) => objectives?.rpoMs ?? Infinity));
  return Math.min(lookMaxMs, Math.max(lookMinMs, shortestMs * lookShare));
}
