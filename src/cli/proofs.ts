// What a repository knows of proofs: sealed notes about root trees.
import { isAppError } from '../base/errors.ts';
import { newestProofs, proofSchema, type Proof } from '../model/proof.ts';
import { readNotes, writeNote } from '../repository/note.ts';
import type { Repository } from '../repository/repository.ts';

/** Notes that no longer read as proofs prove nothing, so they are left out; `verify` reports damaged ones. */
export async function loadProofs(repository: Repository, signal: AbortSignal): Promise<Proof[]> {
  const { notes } = await readNotes(repository, { purpose: 'proof' }, signal);
  return notes.flatMap(({ json, subject }) => {
    const parsed = proofSchema.safeParse(json);
    return parsed.success && parsed.data.tree === subject ? [parsed.data] : [];
  });
}

/** Root trees whose newest proof passed. */
export async function provenTrees(repository: Repository, signal: AbortSignal): Promise<ReadonlySet<string>> {
  const proofs = newestProofs(await loadProofs(repository, signal)).values();
  return new Set([...proofs].filter(({ outcome }) => outcome === 'passed').map(({ tree }) => tree));
}

/** The same as a question. Proofs are read only where one of the words asks for them: there may be many. */
export async function isProvenFor(
  words: readonly string[],
  repository: Repository,
  signal: AbortSignal,
): Promise<(tree: string) => boolean> {
  const proven = words.includes('latest-proven') ? await provenTrees(repository, signal) : new Set<string>();
  return (tree) => proven.has(tree);
}

/** Returns why it could not be recorded where nothing may be written: hours of proving must not be lost for that. */
export async function saveProof(
  repository: Repository,
  proof: Proof,
  signal: AbortSignal,
): Promise<string | undefined> {
  // Through JSON: absent fields vanish, and what is read back is what was written.
  const json = JSON.parse(JSON.stringify(proof)) as Parameters<typeof writeNote>[1]['json'];
  try {
    await writeNote(repository, { purpose: 'proof', subject: proof.tree, json }, signal);
    return undefined;
  } catch (error) {
    if (!isAppError(error, 'STORE_READ_ONLY', 'STORE_DENIED', 'STORE_FULL')) throw error;
    return error.message;
  }
}
