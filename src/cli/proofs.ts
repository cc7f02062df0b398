// What a repository knows of proofs.
import { newestProofs, type Proof } from '../model/proof.ts';
import type { Repository } from '../repository/repository.ts';

export async function loadProofs(_repository: Repository, _signal: AbortSignal): Promise<readonly Proof[]> {
  return Promise.resolve([]);
}

/** Root trees whose newest proof passed. */
export async function provenTrees(repository: Repository, signal: AbortSignal): Promise<ReadonlySet<string>> {
  const proofs = newestProofs(await loadProofs(repository, signal)).values();
  return new Set([...proofs].filter(({ outcome }) => outcome === 'passed').map(({ tree }) => tree));
}

export async function saveProof(_repository: Repository, _proof: Proof, _signal: AbortSignal): Promise<void> {
  return Promise.resolve();
}
