// What one server at a time does, of however many there are: the right to it, taken where nobody has it and renewed while it is used.
import { asError } from '../base/errors.ts';
import type { Catalog } from '../catalog/catalog.ts';
import { acquireLease, releaseLease, renewLease, type HeldLease } from '../catalog/leases.ts';

export interface SoleDutyParts {
  readonly catalog: Catalog;
  readonly name: string;
  /** Whoever does it: a worker's id. */
  readonly holder: string;
  readonly leaseMs: number;
  readonly onProblem: (error: Error) => void;
}

/** Of the lease. */
const renewShare = 1 / 12;

export class SoleDuty implements AsyncDisposable {
  readonly #parts: SoleDutyParts;
  #lease: HeldLease | undefined;
  /** From before it was asked, on the clock that never jumps. */
  #confirmedMs = -Infinity;

  constructor(parts: SoleDutyParts) {
    this.#parts = parts;
  }

  /** Whether it is ours now. Rejects where the catalog can't be asked. */
  async isOurs(): Promise<boolean> {
    const { catalog, name, holder, leaseMs } = this.#parts;
    const askedMs = performance.now();
    if (this.#lease !== undefined && askedMs - this.#confirmedMs < leaseMs * renewShare) return true;
    if (this.#lease === undefined || !(await renewLease(catalog, this.#lease, leaseMs))) {
      this.#lease = await acquireLease(catalog, { name, holder, leaseMs });
    }
    this.#confirmedMs = askedMs;
    return this.#lease !== undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const lease = this.#lease;
    if (lease === undefined) return;
    try {
      await releaseLease(this.#parts.catalog, lease);
    } catch (error) {
      this.#parts.onProblem(asError(error)); // Its time will be over by itself.
    }
  }
}
