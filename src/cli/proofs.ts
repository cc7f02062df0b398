// What a repository knows of proofs.
import type { Proof } from '../model/proof.ts';
import type { Repository } from '../repository/repository.ts';

/** Root trees whose newest proof passed. */
export async function provenTrees(_repository: Repository, _signal: AbortSignal): Promise<ReadonlySet<string>> {
  return Promise.resolve(new Set());
}

export async function saveProof(_repository: Repository, _proof: Proof, _signal: AbortSignal): Promise<void> {
  return Promise.resolve();
}
