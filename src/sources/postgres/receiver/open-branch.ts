// The branch that is being written, kept open from one connection to the next: opening one asks the repositories, and they may be
// away just when the server is there again.
import assert from 'node:assert/strict';
import type { JournalBranch, JournalSink, JournalTarget, KeptBranch } from '../../journal.ts';
import { readTimelineBranch } from '../lineage.ts';

export class OpenBranch implements AsyncDisposable {
  readonly #target: JournalTarget;
  readonly #acceptsOtherSystem: boolean;
  #sink: JournalSink | undefined;

  constructor(target: JournalTarget, { acceptsOtherSystem }: { readonly acceptsOtherSystem: boolean }) {
    this.#target = target;
    this.#acceptsOtherSystem = acceptsOtherSystem;
  }

  get lineage(): string | undefined {
    return this.#sink?.branch.lineage;
  }

  get sink(): JournalSink {
    assert.ok(this.#sink, 'a branch is open');
    return this.#sink;
  }

  /** Aborted if the journal can't go on; undefined while none is open. */
  get signal(): AbortSignal | undefined {
    return this.#sink?.signal;
  }

  kept(signal: AbortSignal): Promise<readonly KeptBranch[]> {
    return this.#target.branches(signal);
  }

  /** System identifiers of the servers whose journal was received here; empty if any is welcome. */
  knownSystems(kept: readonly KeptBranch[]): readonly string[] {
    if (this.#acceptsOtherSystem) return [];
    return [...new Set(kept.flatMap((branch) => readTimelineBranch(branch)?.systemIdentifier ?? []))];
  }

  async open(branch: JournalBranch, signal: AbortSignal): Promise<JournalSink> {
    if (this.#sink?.branch.lineage === branch.lineage) return this.#sink;
    await this[Symbol.asyncDispose]();
    this.#sink = await this.#target.open(branch, signal);
    return this.#sink;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const sink = this.#sink;
    this.#sink = undefined;
    await sink?.[Symbol.asyncDispose]();
  }
}
