// Looks with the probes of all applications, each as often as it wants, and keeps what was seen. Of several servers one does so at a time.
// The looks are made in this process: they are small and many, where a process of its own for each would cost more than the look.
import { createHash } from 'node:crypto';
import type { Clock } from '../base/clock.ts';
import { asError } from '../base/errors.ts';
import { Semaphore } from '../base/semaphore.ts';
import type { Catalog } from '../catalog/catalog.ts';
import {
  keepProbes,
  probeStatesOf,
  recentOutcomes,
  saveLook,
  trimProbes,
  type ProbeStateRow,
} from '../catalog/probe-states.ts';
import type { Observation, ProbeSettings } from '../model/probe.ts';
import { damp } from '../monitoring/probes/damping.ts';
import type { ProbePorts } from '../monitoring/probes/look.ts';
import { probe as lookWith } from '../monitoring/probes/probe.ts';
import { Repeating } from '../workflow/repeating.ts';
import { SoleDuty } from './sole-duty.ts';
import type { Tenant } from './tenant.ts';

export interface ProberParts {
  readonly catalog: Catalog;
  readonly clock: Clock;
  readonly tenants: () => readonly Tenant[];
  readonly portsOf: (tenant: Tenant) => ProbePorts;
  /** Whoever does it: a worker's id. */
  readonly holder: string;
  readonly leaseMs: number;
  readonly onNote: (text: string) => void;
  readonly onProblem: (error: Error) => void;
}

const tickMs = 500;
/** Looks at once. */
const looksMax = 8;
/** Enough for the widest window of flapping. */
const recentMax = 120;
const trimEveryMs = 86_400_000;

export class Prober implements AsyncDisposable {
  readonly #parts: ProberParts;
  readonly #abort = new AbortController();
  readonly #permits = new Semaphore(looksMax);
  readonly #looking: Repeating;
  readonly #duty: SoleDuty;
  /** By application and probe: when it looks next, on the clock that never jumps. */
  readonly #nextMs = new Map<string, number>();
  readonly #underWay = new Map<string, Promise<void>>();
  readonly #seenTenants = new WeakSet<Tenant>();
  #trimmedMs = -Infinity;

  constructor(parts: ProberParts) {
    this.#parts = parts;
    this.#duty = new SoleDuty({ ...parts, name: 'probes' });
    this.#looking = new Repeating({ everyMs: tickMs, work: () => this.#look(), onProblem: parts.onProblem });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#abort.abort(new Error('the service ends'));
    await this.#looking[Symbol.asyncDispose]();
    await Promise.all(this.#underWay.values());
    await this.#duty[Symbol.asyncDispose]();
  }

  async #look(): Promise<void> {
    const { catalog, tenants } = this.#parts;
    if (tenants().every(({ probes }) => Object.keys(probes).length === 0)) return;
    if (!(await this.#duty.isOurs())) return;
    if (performance.now() - this.#trimmedMs > trimEveryMs) {
      await trimProbes(catalog);
      this.#trimmedMs = performance.now();
    }
    for (const tenant of tenants()) {
      if (!this.#seenTenants.has(tenant)) {
        await keepProbes(catalog, tenant.application.name, Object.keys(tenant.probes));
        this.#seenTenants.add(tenant);
      }
      for (const [name, settings] of Object.entries(tenant.probes)) this.#begin(tenant, name, settings);
    }
  }

  /** If its time has come, and it is not at it still. */
  #begin(tenant: Tenant, name: string, settings: ProbeSettings): void {
    const key = `${tenant.application.name}/${name}`;
    const nowMs = performance.now();
    const dueMs = this.#nextMs.get(key) ?? nowMs + firstDelayMs(key, settings);
    this.#nextMs.set(key, dueMs);
    if (dueMs > nowMs || this.#underWay.has(key)) return;
    // From when it was due, so that they stay apart; what was missed is not made up for.
    this.#nextMs.set(key, dueMs + settings.everyMs * Math.max(1, Math.ceil((nowMs - dueMs) / settings.everyMs)));
    const work = this.#lookOnce(tenant, name, settings)
      .catch((error: unknown) => {
        if (!this.#abort.signal.aborted) this.#parts.onProblem(asError(error));
      })
      .finally(() => this.#underWay.delete(key));
    this.#underWay.set(key, work);
  }

  async #lookOnce(tenant: Tenant, name: string, settings: ProbeSettings): Promise<void> {
    const { catalog, clock, portsOf, onNote } = this.#parts;
    const { signal } = this.#abort;
    using _ = await this.#permits.acquire();
    signal.throwIfAborted();
    const observation = await lookWith(settings, { signal, clock, ports: portsOf(tenant) });
    const { name: application } = tenant.application;
    const before = (await probeStatesOf(catalog, [application])).find(({ probe }) => probe === name);
    const seenAtMs = await catalog.nowMs();
    const state = stateAfter(before, { application, name, settings, observation, seenAtMs });
    await saveLook(catalog, { state, outcome: observation.outcome });
    if (before?.outcome !== state.outcome)
      onNote(`${application}: probe ${name} is ${state.outcome}: ${state.message}`);
  }
}

interface Seen {
  readonly application: string;
  readonly name: string;
  readonly settings: ProbeSettings;
  readonly observation: Observation;
  readonly seenAtMs: number;
}

export function stateAfter(before: ProbeStateRow | undefined, seen: Seen): ProbeStateRow {
  const { application, name, settings, observation, seenAtMs } = seen;
  const recent = [...(before === undefined ? [] : recentOutcomes(before)), observation.outcome].slice(-recentMax);
  const { outcome, isFlapping } = damp(recent, settings.damping);
  return {
    application,
    probe: name,
    component: settings.component ?? null,
    outcome,
    isFlapping: isFlapping ? 1 : 0,
    message: observation.message,
    hint: observation.hint ?? null,
    latencyMs: Math.round(observation.latencyMs),
    facts: JSON.stringify(observation.facts),
    sinceMs: before?.outcome === outcome ? before.sinceMs : seenAtMs,
    seenAtMs,
    recent: JSON.stringify(recent),
  };
}

const firstDelayMaxMs = 5000;

/** So that those that begin together do not look together. */
function firstDelayMs(key: string, { everyMs }: ProbeSettings): number {
  const share = createHash('sha256').update(key).digest().readUInt32BE() / 2 ** 32;
  return share * Math.min(everyMs, firstDelayMaxMs);
}
