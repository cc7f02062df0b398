// Finds the commit after which a condition no longer holds, by halving what lies between an instant at which it holds and one at which it
// does not. If it changed more than once in between, one of the changes is found.
import type { PastCommit, PastCommits } from '../../sources/explore.ts';

export interface Probe {
  readonly holds: boolean;
  /** Where the replay ended: commits from here on are not in it. */
  readonly end: string;
}

export interface BisectRequest {
  readonly commits: Pick<PastCommits, 'between'>;
  /** Commits from here on are not in the instant at which it holds. */
  readonly from: string;
  /** Commits from here on are not in the instant at which it does not hold. */
  readonly to: string;
  /** Of the instant right after a commit. */
  probe(commit: PastCommit): Promise<Probe>;
  readonly probesMax: number;
}

export interface Bisected {
  /** With it the condition still held; absent if it is the instant at which the search began. */
  readonly lastHeld: PastCommit | undefined;
  /** With it the condition no longer held; absent if no commit in between changed it. */
  readonly firstFailed: PastCommit | undefined;
  readonly probes: number;
  /** There are no commits between the two. */
  readonly isExact: boolean;
}

export async function bisect(request: BisectRequest, signal: AbortSignal): Promise<Bisected> {
  const { commits, probesMax } = request;
  let { from, to: before } = request;
  let lastHeld: PastCommit | undefined;
  let firstFailed: PastCommit | undefined;
  for (let probes = 0; ; probes += 1) {
    const commit = await commits.between(from, before, signal);
    if (commit === undefined) return { lastHeld, firstFailed, probes, isExact: true };
    if (probes === probesMax) return { lastHeld, firstFailed, probes, isExact: false };
    const { holds, end } = await request.probe(commit);
    if (holds) {
      lastHeld = commit;
      from = end;
    } else {
      firstFailed = commit;
      before = commit.position;
    }
  }
}
