// What always runs and once: the receiver of each journal. Whoever has its lease keeps a process of it alive, begins it anew when it ends,
// and ends it before another may take the lease.
import { setTimeout as sleep } from 'node:timers/promises';
import { asError } from '../base/errors.ts';
import type { Random } from '../base/random.ts';
import type { Catalog } from '../catalog/catalog.ts';
import { acquireLease, releaseLease, renewLease, tellLease, type HeldLease } from '../catalog/leases.ts';
import type { Component } from '../model/component.ts';
import { Repeating } from '../workflow/repeating.ts';
import { runJob, type Launcher } from './job-process.ts';
import { configOption, type Tenant } from './tenant.ts';

export interface SupervisorParts {
  readonly catalog: Catalog;
  readonly launcher: Launcher;
  readonly tenants: () => readonly Tenant[];
  /** Whoever holds: a worker's id. */
  readonly holder: string;
  /** That it carries. */
  readonly labels: readonly string[];
  /** What can't be reached from here is for others. */
  readonly leavesUnreachable: boolean;
  readonly leaseMs: number;
  readonly random: Random;
  readonly onNote: (name: string, text: string) => void;
  readonly onProblem: (error: Error) => void;
}

const lookEveryMs = 5000;
/** Of the lease: it is renewed with each look, well before a process would be ended for want of it. */
const lookShare = 1 / 5;
const watchEveryMs = 1000;
/** Of the lease: after it without a renewal the process is ended, and what is left is for it to end. */
const confirmedShare = 1 / 2;
const restartFirstMs = 2000;
const restartMaxMs = 5 * 60_000;
/** A process that lived so long was well: the next one is begun at once. */
const wellMs = 60_000;
const tellEveryMs = 2000;

interface Wanted {
  /** The command line. */
  readonly args: readonly string[];
  /** What the process goes by, as a text: another text asks for another process. */
  readonly settings: string;
}

interface Kept {
  readonly lease: HeldLease;
  readonly settings: string;
  readonly abort: AbortController;
  readonly work: Promise<void>;
  confirmedMs: number;
}

/** Empty for `component`: how the names of an application's leases begin. */
export const leaseNameOf = (application: string, component: string): string => `journal/${application}/${component}`;

export class Supervisor implements AsyncDisposable {
  readonly #parts: SupervisorParts;
  readonly #kept = new Map<string, Kept>();
  /** Why receivers are left to others, as it was told. */
  readonly #left = new Map<string, string | undefined>();
  readonly #looking: Repeating;
  readonly #watching: NodeJS.Timeout;

  constructor(parts: SupervisorParts) {
    this.#parts = parts;
    this.#watching = setInterval(() => this.#watch(), watchEveryMs);
    const everyMs = Math.min(lookEveryMs, parts.leaseMs * lookShare);
    this.#looking = new Repeating({ everyMs, work: () => this.#look(), onProblem: parts.onProblem });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#looking[Symbol.asyncDispose]();
    clearInterval(this.#watching);
    await Promise.all([...this.#kept.values()].map((kept) => this.#end(kept)));
  }

  /** By a clock of its own: a catalog that does not answer must not keep a process alive. */
  #watch(): void {
    const oldestMs = performance.now() - this.#parts.leaseMs * confirmedShare;
    for (const { confirmedMs, abort } of this.#kept.values()) {
      if (confirmedMs < oldestMs) abort.abort(new Error('its lease could not be renewed'));
    }
  }

  async #look(): Promise<void> {
    const { labels, leavesUnreachable } = this.#parts;
    const receivers = this.#parts.tenants().flatMap((tenant) => {
      const left = leavesUnreachable ? tenant.unreachable : undefined;
      return receiversOf(tenant, labels).filter(({ name, component }) => {
        const reason = left?.get(component);
        this.#tellLeft(name, reason?.message);
        return reason === undefined;
      });
    });
    const wanted = new Map(receivers.map(({ name, ...one }) => [name, one]));
    const keep = (kept: Kept): Promise<void> => {
      const { name } = kept.lease;
      const now = wanted.get(name);
      if (now?.settings === kept.settings) return this.#renew(kept);
      if (now !== undefined) this.#parts.onNote(name, 'begun anew, since what was configured has changed');
      return this.#end(kept);
    };
    await Promise.all([...this.#kept.values()].map(keep));
    for (const [name, one] of wanted) {
      if (!this.#kept.has(name)) await this.#take(name, one);
    }
  }

  #tellLeft(name: string, reason: string | undefined): void {
    if (reason !== undefined && this.#left.get(name) !== reason)
      this.#parts.onNote(name, `left to others, since it can't be reached from here: ${reason}`);
    this.#left.set(name, reason);
  }

  async #take(name: string, { args, settings }: Wanted): Promise<void> {
    const { catalog, holder, leaseMs } = this.#parts;
    const confirmedMs = performance.now();
    const lease = await acquireLease(catalog, { name, holder, leaseMs });
    if (lease === undefined) return;
    const abort = new AbortController();
    const { promise: work, resolve } = Promise.withResolvers<void>();
    this.#kept.set(name, { lease, settings, abort, work, confirmedMs });
    resolve(this.#keepAlive(lease, args, abort.signal));
  }

  async #renew(kept: Kept): Promise<void> {
    const askedMs = performance.now();
    let isHeld = true;
    try {
      const { catalog, leaseMs } = this.#parts;
      isHeld = await renewLease(catalog, kept.lease, leaseMs);
      if (isHeld) kept.confirmedMs = askedMs;
    } catch (error) {
      this.#parts.onProblem(asError(error));
    }
    if (!isHeld || kept.abort.signal.aborted) await this.#end(kept);
  }

  async #end({ lease, abort, work }: Kept): Promise<void> {
    abort.abort(new Error('not kept any more'));
    await work;
    this.#kept.delete(lease.name);
    try {
      await releaseLease(this.#parts.catalog, lease);
    } catch (error) {
      this.#parts.onProblem(asError(error)); // Its time will be over by itself.
    }
  }

  /** Resolves once it was ended. */
  async #keepAlive(lease: HeldLease, args: readonly string[], signal: AbortSignal): Promise<void> {
    const { launcher, random, onNote } = this.#parts;
    let failures = 0;
    for (;;) {
      // A machine that stood still goes on here before any timer does.
      this.#watch();
      if (signal.aborted) return;
      const startMs = performance.now();
      try {
        const events = { onNote: (text: string) => onNote(lease.name, text), onStatus: this.#teller(lease) };
        const { exitCode } = await runJob({ ...launcher, args }, events, signal);
        onNote(lease.name, `ended by itself with ${exitCode}`);
      } catch (error) {
        if (signal.aborted) return;
        onNote(lease.name, `failed: ${asError(error).message}`);
      }
      failures = performance.now() - startMs > wellMs ? 0 : failures + 1;
      const delayMs = Math.min(restartMaxMs, restartFirstMs * 2 ** Math.min(failures, 20)) * (0.75 + random() / 2);
      await sleep(delayMs, undefined, { signal }).catch(() => undefined);
    }
  }

  #teller(lease: HeldLease): (status: object) => void {
    let toldMs = -Infinity;
    return (status) => {
      if (performance.now() - toldMs < tellEveryMs) return;
      toldMs = performance.now();
      tellLease(this.#parts.catalog, lease, status).catch((error: unknown) => this.#parts.onProblem(asError(error)));
    };
  }
}

function receiversOf(
  tenant: Tenant,
  carried: readonly string[],
): (Wanted & { readonly name: string; readonly component: string })[] {
  const { application } = tenant;
  return application.components
    .filter((component) => hasReceiver(component) && component.labels.every((label) => carried.includes(label)))
    .map((component) => ({
      name: leaseNameOf(application.name, component.name),
      component: component.name,
      args: ['journal', 'run', component.name, ...configOption(tenant)],
      settings: settingsOf(component, tenant),
    }));
}

/** Schedules, promises and the like say nothing to a receiver. */
function settingsOf({ policy, ...component }: Component, { application }: Tenant): string {
  const targets = policy.targets.map(({ repository }) => repository);
  return JSON.stringify([{ ...component, objectives: undefined }, targets, application.repositories]);
}

export function hasReceiver(component: Component): boolean {
  return component.type === 'postgres' && component.journal !== undefined && component.method !== 'logical';
}
