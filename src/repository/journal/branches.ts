// What each branch of a journal is: its lineage, how long its segments are, and what is needed to use it. Trim never removes it.
import { isDeepStrictEqual } from 'node:util';
import { z } from 'zod';
import { AppError, isAppError, messageOf } from '../../base/errors.ts';
import { forEachLimited } from '../../base/for-each-limited.ts';
import type { JsonObject } from '../../base/json.ts';
import { damaged, isMissing, type Repository } from '../repository.ts';
import { putHeader, readWhole } from './object.ts';
import {
  branchesFolder,
  branchFolder,
  parseBranchName,
  rankText,
  type JournalProblem,
  type JournalRank,
} from './object-name.ts';

export interface StoredBranch {
  readonly lineage: string;
  /** Of a full segment. */
  readonly segmentBytes: number;
  readonly about: JsonObject;
}

export interface ReadBranch extends StoredBranch {
  readonly writtenAtMs: number;
  /** Whose receivers wrote it: components, nearly always one. Empty where none was named. */
  readonly families: readonly string[];
}

export interface ReadBranches {
  /** Oldest first. */
  readonly branches: readonly ReadBranch[];
  /** Damaged, renamed or forged objects, and those that contradict an older one. */
  readonly problems: readonly JournalProblem[];
}

const bodySchema = z.object({
  segmentBytes: z.number().int().positive(),
  about: z.record(z.string(), z.json()),
  family: z.string().optional(),
});
/** Also where a store makes no sense of more calls at once: each waits for the network. */
const readsAtOnceMin = 4;

export async function hasBranches({ store }: Repository, signal: AbortSignal): Promise<boolean> {
  for await (const _ of store.list(branchesFolder, { signal })) return true;
  return false;
}

/** All branches of all journals, or one. Rejects only if the store fails. */
export async function readBranches(
  repository: Repository,
  signal: AbortSignal,
  lineage?: string,
): Promise<ReadBranches> {
  const { store } = repository;
  const folder = lineage === undefined ? branchesFolder : branchFolder(repository, lineage);
  const problems: JournalProblem[] = [];
  const read: ReadBranch[] = [];
  const names = await Array.fromAsync(store.list(folder, { signal }), ({ name }) => name);
  await forEachLimited(names, Math.max(readsAtOnceMin, store.properties.connectionsMax), async (name) => {
    try {
      read.push(await readBranch(repository, name, signal));
    } catch (error) {
      signal.throwIfAborted();
      if (isMissing(error)) return;
      if (!isAppError(error, 'REPOSITORY_DAMAGED')) throw error;
      problems.push({ name, message: messageOf(error.cause ?? error) });
    }
  });
  const branches = new Map<string, ReadBranch & { readonly name?: string }>();
  for (const branch of read.toSorted(byAge)) {
    const first = branches.get(branch.lineage);
    if (first === undefined) branches.set(branch.lineage, branch);
    else if (isSameBranch(first, branch))
      branches.set(branch.lineage, { ...first, families: familiesOf(first, branch) });
    else problems.push({ name: branchFolder(repository, branch.lineage), message: contradiction(branch) });
  }
  return { branches: [...branches.values()], problems };
}

async function readBranch(repository: Repository, name: string, signal: AbortSignal): Promise<ReadBranch> {
  const { subject: lineage, body, writtenAtMs } = await readWhole(repository, { kind: 'branch', name }, signal);
  const rank = parseBranchName(name);
  try {
    if (rank === undefined || name !== branchFolder(repository, lineage) + rankText(rank))
      throw new Error('its lineage is another');
    const { family, ...branch } = bodySchema.parse(body);
    return { lineage, writtenAtMs, ...branch, families: family === undefined ? [] : [family] };
  } catch (error) {
    throw damaged(name, error);
  }
}

const byAge = (left: ReadBranch, right: ReadBranch): number =>
  left.writtenAtMs - right.writtenAtMs || (left.lineage < right.lineage ? -1 : 1);

const familiesOf = (...branches: readonly ReadBranch[]): string[] => [
  ...new Set(branches.flatMap(({ families }) => families)),
];

const contradiction = ({ lineage }: StoredBranch): string =>
  `two writers describe the branch ${lineage} in different ways`;

export const isSameBranch = (left: StoredBranch, right: StoredBranch): boolean =>
  left.segmentBytes === right.segmentBytes && isDeepStrictEqual(left.about, right.about);

export interface BranchToKeep {
  readonly branch: StoredBranch;
  readonly rank: JournalRank;
  /** Whose it is. */
  readonly family?: string | undefined;
}

/** Makes sure that the branch is described. Rejects with `JOURNAL_FORKED` if it is known as something else. */
export async function keepBranch(
  repository: Repository,
  { branch, rank, family }: BranchToKeep,
  signal: AbortSignal,
): Promise<void> {
  const { lineage, segmentBytes } = branch;
  // As it will be read: without `undefined` and the like.
  const about = JSON.parse(JSON.stringify(branch.about)) as JsonObject;
  const { branches } = await readBranches(repository, signal, lineage);
  const known = branches.find((each) => each.lineage === lineage);
  if (known !== undefined && !isSameBranch(known, { lineage, segmentBytes, about })) {
    throw new AppError('JOURNAL_FORKED', contradiction(branch), {
      hint: 'Give the journal of a copied server a repository of its own, or a lineage of its own.',
    });
  }
  if (known !== undefined && (family === undefined || known.families.includes(family))) return;
  const name = branchFolder(repository, lineage) + rankText(rank);
  const body = { segmentBytes, about, ...(family === undefined ? {} : { family }) };
  await putHeader(repository, { kind: 'branch', name, subject: lineage, rank, body }, signal);
}
