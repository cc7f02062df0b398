// Records what a standby proves. A repository that is away at that moment gets the proof later: the rows were compared all the same.
import assert from 'node:assert/strict';
import { asError, errorKinds, isAppError } from '../base/errors.ts';
import type { Proof } from '../model/proof.ts';
import { proveStandby } from '../operations/standby/prove-standby.ts';
import type { LookedAtRepository } from '../operations/standby/standby-repository.ts';
import type { StandbyClaim } from '../sources/standby.ts';
import { systemSleep } from '../storage/interruption.ts';
import type { CommandContext, OpenedRepository } from './context.ts';
import { saveProof } from './proofs.ts';
import type { StandbySubject } from './standby-subject.ts';
import type { StandbyTeller } from './standby-teller.ts';

interface ProverParts {
  readonly context: CommandContext;
  readonly subject: StandbySubject;
  /** Absent where nothing of it can be read, either. */
  readonly opened: OpenedRepository | undefined;
  readonly repository: LookedAtRepository;
  readonly teller: StandbyTeller;
}

const saveAgainMs = 5_000;

export class StandbyProver {
  readonly #parts: ProverParts;
  readonly #saving = new Set<Promise<void>>();

  constructor(parts: ProverParts) {
    this.#parts = parts;
  }

  async prove({ origin, compared, stand }: StandbyClaim, signal: AbortSignal): Promise<void> {
    const { context, subject, repository, teller } = this.#parts;
    const { component, source } = subject;
    const snapshot = repository.snapshotOf(origin);
    if (snapshot === undefined) return; // Nobody can restore it any more.
    const request = {
      component: component.name,
      source,
      checks: component.checks,
      clock: context.clock,
      program: `lifeboat ${context.programVersion}`,
      origin: snapshot,
      stand,
    };
    const proof = await repository.readingPoint(
      compared,
      (point, until) => proveStandby({ ...request, compared: point }, until),
      signal,
    );
    if (proof === undefined) return;
    teller.proved(proof);
    const saving = this.#save(proof)
      .catch((error: unknown) => teller.trouble(asError(error)))
      .finally(() => this.#saving.delete(saving));
    this.#saving.add(saving);
  }

  async #save(proof: Proof): Promise<void> {
    const { context, opened, teller } = this.#parts;
    assert.ok(opened !== undefined, 'a fingerprint was read from it');
    for (;;) {
      try {
        // What was proven is worth recording on the way out, too.
        const unrecorded = await saveProof(opened.repository, proof, AbortSignal.timeout(60_000));
        if (unrecorded === undefined) return;
        return teller.trouble(new Error(`the proof is not recorded in the repository: ${unrecorded}`));
      } catch (error) {
        if (context.signal.aborted || !isAppError(error) || errorKinds[error.code].retry !== 'later') throw error;
        teller.trouble(error);
        await systemSleep(saveAgainMs, context.signal);
      }
    }
  }

  async end(): Promise<void> {
    await Promise.all(this.#saving);
  }
}
