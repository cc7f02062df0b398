// What the repositories of each application hold, looked at again and again and after each run that may have changed it: the command
// `status` in a process of its own, whose answer is kept.
import { asError } from '../base/errors.ts';
import type { Catalog } from '../catalog/catalog.ts';
import { saveInventory } from '../catalog/inventories.ts';
import { Repeating } from '../workflow/repeating.ts';
import { runJob, type Launcher } from './job-process.ts';
import { configOption, type Tenant } from './tenant.ts';

export interface InventoryParts {
  readonly catalog: Catalog;
  readonly launcher: Launcher;
  readonly tenants: () => readonly Tenant[];
  readonly onTaken?: (application: string) => void;
  readonly onProblem: (error: Error) => void;
}

const lookEveryMs = 5 * 60_000;

export class InventoryKeeper implements AsyncDisposable {
  readonly #parts: InventoryParts;
  readonly #abort = new AbortController();
  readonly #changed = new Set<string>();
  readonly #looking: Repeating;
  #isFirst = true;
  #lookedMs = 0;

  constructor(parts: InventoryParts) {
    this.#parts = parts;
    this.#looking = new Repeating({ everyMs: lookEveryMs, work: () => this.#look(), onProblem: parts.onProblem });
  }

  /** Something of the application may be different now. */
  changed(application: string): void {
    this.#changed.add(application);
    this.#looking.wake();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#abort.abort(new Error('the service ends'));
    await this.#looking[Symbol.asyncDispose]();
  }

  async #look(): Promise<void> {
    const nowMs = performance.now();
    const isTime = this.#isFirst || nowMs - this.#lookedMs >= lookEveryMs * 0.9;
    if (isTime) this.#lookedMs = nowMs;
    this.#isFirst = false;
    for (const tenant of this.#parts.tenants()) {
      const { name } = tenant.application;
      if (!this.#changed.delete(name) && !isTime) continue;
      if (this.#abort.signal.aborted) return;
      try {
        await this.#take(tenant);
      } catch (error) {
        if (!this.#abort.signal.aborted) this.#parts.onProblem(asError(error));
      }
    }
  }

  async #take(tenant: Tenant): Promise<void> {
    const { application } = tenant;
    const { catalog, launcher, onTaken } = this.#parts;
    const events = { onNote: () => undefined, onStatus: () => undefined };
    const command = { ...launcher, args: ['status', ...configOption(tenant)] };
    const { summary } = await runJob(command, events, this.#abort.signal);
    await saveInventory(catalog, application.name, summary ?? {});
    onTaken?.(application.name);
  }
}
