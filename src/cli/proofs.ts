// What a repository knows of proofs: sealed notes about root trees.
import { AppError, isAppError } from '../base/errors.ts';
import { newestProofs, proofSchema, type Proof } from '../model/proof.ts';
import { readNotes, writeNote, type ReadNotes } from '../repository/note.ts';
import type { Repository } from '../repository/repository.ts';

export interface KnownProofs {
  readonly proofs: readonly Proof[];
  /** Files that should be proofs and can't be read. What they said nobody knows. */
  readonly problems: ReadNotes['problems'];
}

export async function loadProofs(repository: Repository, signal: AbortSignal): Promise<KnownProofs> {
  const { notes, problems } = await readNotes(repository, { purpose: 'proof' }, signal);
  const proofs = notes.flatMap(({ json, subject }) => {
    const parsed = proofSchema.safeParse(json);
    return parsed.success && parsed.data.tree === subject ? [parsed.data] : [];
  });
  return { proofs, problems };
}

/** Root trees whose newest proof passed. */
export async function provenTrees(repository: Repository, signal: AbortSignal): Promise<ReadonlySet<string>> {
  const { proofs } = await loadProofs(repository, signal);
  return provenIn(proofs);
}

/**
 * As `provenTrees`, for whoever deletes: a proof that can't be read may be that of the last point which is known to come
 * back. Rejects with `REPOSITORY_DAMAGED` naming the files.
 */
export async function provenTreesForSure(repository: Repository, signal: AbortSignal): Promise<ReadonlySet<string>> {
  const { proofs, problems } = await loadProofs(repository, signal);
  const [first] = problems;
  if (first === undefined) return provenIn(proofs);
  const others = problems.length === 1 ? '' : `, and ${problems.length - 1} more`;
  throw new AppError(
    'REPOSITORY_DAMAGED',
    `the proof in file ${first.name} of ${repository.store.properties.location} can't be read: ${first.message}${others}`,
    {
      hint: "Nothing was deleted, as it may be the last proven recovery point's. Remove the file, run 'lifeboat prove' again, or say --forget-proven.",
    },
  );
}

function provenIn(proofs: readonly Proof[]): ReadonlySet<string> {
  const newest = newestProofs(proofs).values();
  return new Set([...newest].filter(({ outcome }) => outcome === 'passed').map(({ tree }) => tree));
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
