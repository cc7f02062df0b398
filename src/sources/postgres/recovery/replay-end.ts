// How far the newest timeline can be followed from a backup, and to what time that is: by names and stored facts, so that a status
// may ask for it often.
import type { ReplayEnd, ReplayEndPlace } from '../../replay.ts';
import { tellingFacts } from '../../telling-facts.ts';
import { walTimes } from '../receiver/wal-words.ts';
import { formatLsn, positionOf } from '../wal/lsn.ts';
import { readQuickMap } from './replay-map.ts';
import { type KeptTimeline, timelineName } from './timeline-tree.ts';
import { basesOf, holeWords, runsOf } from './windows.ts';

export async function replayEnd(place: ReplayEndPlace, signal: AbortSignal): Promise<ReplayEnd | undefined> {
  const map = await readQuickMap(place, signal);
  // The newest one to which a backup leads, as whoever restores without naming a timeline gets it. Of a server that was made anew the
  // timelines begin at 1 again.
  const ageOf = ({ systemIdentifier }: KeptTimeline): number =>
    map.timelines.findLastIndex((one) => one.systemIdentifier === systemIdentifier);
  const newestFirst = map.timelines.toSorted(
    (left, right) => ageOf(right) - ageOf(left) || right.timeline - left.timeline,
  );
  for (const goal of newestFirst) {
    const reach = runsOf(map, goal, basesOf(map, goal)).at(-1)?.reach;
    if (reach === undefined || (reach.segments.length === 0 && reach.hole === undefined)) continue;
    const facts = await tellingFacts(reach.segments.toReversed(), ({ lineage, segment }) =>
      place.journal.facts(lineage, segment, signal),
    );
    const times = facts.map(walTimes);
    return {
      branch: `timeline ${timelineName(goal, map.timelines)}`,
      lineage: goal.lineage,
      end: positionOf(reach.end, goal.segmentBytes),
      position: formatLsn(reach.end),
      changedMs: times.find(({ latestMs }) => latestMs !== undefined)?.latestMs,
      receivedMs: times.find(({ receivedMs }) => receivedMs !== undefined)?.receivedMs,
      missing: reach.hole && holeWords(reach.hole),
    };
  }
  return undefined;
}
