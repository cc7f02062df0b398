// The commits on the way to an instant, for a search among them: which segment to look into is told by the facts beside the segments, and
// only that one is read.
import { AppError } from '../../../base/errors.ts';
import type { PastCommit, PastCommits } from '../../explore.ts';
import type { ReplayChoice } from '../../replay.ts';
import { reachFrom, type ReplaySegment } from '../recovery/reach.ts';
import { chosenOf } from '../recovery/replay-restore.ts';
import { WalLibrary } from '../recovery/wal-library.ts';
import { basesOf, runsOf } from '../recovery/windows.ts';
import { formatLsn, type Lsn, lsnOf, parseLsn } from '../wal/lsn.ts';

export async function pastCommits(choice: ReplayChoice, signal: AbortSignal): Promise<PastCommits> {
  const { map, recovery, journal } = chosenOf(choice);
  const { goal, base } = recovery;
  const run = runsOf(map, goal, basesOf(map, goal)).find(({ bases }) => bases.includes(base));
  const oldest = (run?.bases ?? [base]).reduce((least, one) => (one.consistentLsn < least.consistentLsn ? one : least));
  const { systemIdentifier, segmentBytes } = goal;
  const library = new WalLibrary(journal, { systemIdentifier, segmentBytes });
  const { segments } = reachFrom(goal, oldest.consistentLsn, map.kept);
  signal.throwIfAborted();
  const search = new CommitSearch({ library, segments, segmentBytes });
  return {
    start: {
      position: formatLsn(oldest.consistentLsn),
      ...(oldest.consistentTimeUs === undefined ? {} : { timeUs: oldest.consistentTimeUs }),
    },
    between: (from, before, within) => search.between({ from: lsnFrom(from), before: lsnFrom(before) }, within),
  };
}

function lsnFrom(text: string): Lsn {
  const lsn = parseLsn(text);
  if (lsn === undefined) throw new AppError('USAGE', `'${text}' is no position`, { hint: 'Write it as 16/B374D848.' });
  return lsn;
}

interface Way {
  readonly library: WalLibrary;
  readonly segments: readonly ReplaySegment[];
  readonly segmentBytes: number;
}

/** Kept of one segment at a time; of more every other one goes, and is found again once the search is narrower. */
const commitsMax = 200_000;

class CommitSearch {
  readonly #way: Way;
  #last: KnownCommits | undefined;

  constructor(way: Way) {
    this.#way = way;
  }

  async between(range: Range, signal: AbortSignal): Promise<PastCommit | undefined> {
    const { from, before } = range;
    const { segments, library, segmentBytes } = this.#way;
    const counted: { readonly at: number; readonly commits: number }[] = [];
    for (const [at, segment] of segments.entries()) {
      const start = lsnOf({ segment: segment.segment, offset: 0 }, segmentBytes);
      // A record counts for the segment in which it ends.
      if (start >= before + BigInt(segmentBytes) || start + BigInt(segmentBytes) <= from) continue;
      const { commits } = await library.facts(segment, signal);
      if (commits > 0) counted.push({ at, commits });
    }
    while (counted.length > 0) {
      const index = middleOf(counted.map(({ commits }) => commits));
      const [chosen] = counted.splice(index, 1);
      const found = chosen === undefined ? [] : await this.#commitsIn(chosen.at, range, signal);
      const middle = found[Math.floor(found.length / 2)];
      if (middle !== undefined) return { position: formatLsn(middle.lsn), timeUs: middle.timeUs, xid: middle.xid };
    }
    return undefined;
  }

  async #commitsIn(at: number, range: Range, signal: AbortSignal): Promise<readonly FoundCommit[]> {
    const isBetween = ({ lsn }: { readonly lsn: Lsn }): boolean => lsn >= range.from && lsn < range.before;
    const last = this.#last;
    if (last?.at === at && last.range.from <= range.from && last.range.before >= range.before) {
      const known = last.commits.filter(isBetween);
      if (last.isWhole || known.length > 0) return known;
    }
    const { library, segments } = this.#way;
    let commits: FoundCommit[] = [];
    let isWhole = true;
    await library.walk(
      segments.slice(Math.max(0, at - 1), at + 1),
      (event) => {
        if (event.kind !== 'transaction-end' || event.outcome !== 'commit' || !isBetween(event)) return false;
        commits.push({ lsn: event.lsn, timeUs: event.timeUs, xid: event.xid });
        if (commits.length > commitsMax) {
          commits = commits.filter((_, index) => index % 2 === 0);
          isWhole = false;
        }
        return false;
      },
      signal,
    );
    this.#last = { at, range, isWhole, commits };
    return commits;
  }
}

interface FoundCommit {
  readonly lsn: Lsn;
  readonly timeUs: number;
  readonly xid: number;
}

/** Of positions where commits begin: with `from`, without `before`. */
interface Range {
  readonly from: Lsn;
  readonly before: Lsn;
}

interface KnownCommits {
  readonly at: number;
  readonly range: Range;
  readonly isWhole: boolean;
  readonly commits: readonly FoundCommit[];
}

/** In which of the parts the middle of all lies. */
function middleOf(counts: readonly number[]): number {
  const half = counts.reduce((sum, one) => sum + one, 0) / 2;
  let sum = 0;
  for (const [index, one] of counts.entries()) {
    sum += one;
    if (sum > half) return index;
  }
  return counts.length - 1;
}
