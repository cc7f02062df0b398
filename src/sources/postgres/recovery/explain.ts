// Says why a recovery goes the way it goes: which backup, which timelines, what is left aside.
import { formatInstantUs } from '../../../model/recovery-target.ts';
import type { ReplayRequest } from '../../replay.ts';
import { formatLsn, lsnOf } from '../wal/lsn.ts';
import { type Recovery, targetWords } from './choose-recovery.ts';
import { stopWords } from './locate-target.ts';
import type { ReplayMap } from './replay-map.ts';
import { type KeptTimeline, timelineName } from './timeline-tree.ts';

export function reasonsFor(recovery: Recovery, map: ReplayMap, request: ReplayRequest): string[] {
  const { base, goal, reach, isEnd } = recovery;
  const when = base.consistentTimeUs === undefined ? '' : `, ${formatInstantUs(base.consistentTimeUs)}`;
  const reasons = [
    `starts from the newest backup that is old enough: consistent at ${formatLsn(base.consistentLsn)}${when}`,
    timelineReason(recovery, map, request),
    targetReason(recovery, request),
    ...asideReasons(goal, map),
  ];
  if (isEnd && reach.hole !== undefined) {
    const { from, to } = reach.hole;
    reasons.push(`what comes behind the hole from ${formatLsn(from)} to ${formatLsn(to)} can't be reached from here`);
  }
  return reasons;
}

function timelineReason({ base, goal }: Recovery, map: ReplayMap, { timeline: choice }: ReplayRequest): string {
  const first = goal.path.findIndex(({ lineage }) => lineage === base.lineage);
  const way = goal.path.slice(first).map(({ timeline, to }) => {
    return to === undefined ? `timeline ${timeline}` : `timeline ${timeline} to ${formatLsn(to)}`;
  });
  const name = timelineName(goal, map.timelines);
  const why =
    choice.kind === 'number'
      ? 'as asked'
      : choice.kind === 'current'
        ? 'that of the backup'
        : map.timelines.length === 1
          ? 'the only one'
          : 'the newest';
  return way.length === 1 ? `follows timeline ${name}, ${why}` : `follows ${way.join(', then ')}: ${name} is ${why}`;
}

function targetReason({ stop, isEnd }: Recovery, { target }: ReplayRequest): string {
  if (stop.kind === 'base') return `${targetWords(target)} is where the backup itself ends`;
  if (isEnd) return `${targetWords(target)}: the replay stops ${stopWords(stop)}, the last that was received whole`;
  const { event } = stop;
  if (event?.kind === 'transaction-end') {
    const verb = event.outcome === 'commit' ? 'commit' : 'abort';
    return `${targetWords(target)}: the replay stops ${stop.isInclusive ? 'after' : 'before'} the ${verb} of transaction ${event.xid} at ${formatLsn(event.lsn)}, ${formatInstantUs(event.timeUs)}`;
  }
  return `${targetWords(target)}: the replay stops ${stopWords(stop)}`;
}

/** What somebody else may have meant: changes on other timelines that this way does not have. */
function asideReasons(goal: KeptTimeline, map: ReplayMap): string[] {
  return map.timelines.flatMap((other) => {
    if (other.lineage === goal.lineage || other.systemIdentifier !== goal.systemIdentifier) return [];
    const stretch = goal.path.find(({ lineage }) => lineage === other.lineage);
    const last = other.segments.at(-1);
    if (last === undefined) return [];
    const end = lsnOf({ segment: last.segment, offset: last.sizeBytes }, other.segmentBytes);
    const left = stretch === undefined ? other.path.at(-1)?.from : stretch.to;
    if (left === undefined || end <= left) return [];
    const name = timelineName(other, map.timelines);
    return [
      `leaves aside what timeline ${name} has from ${formatLsn(left)} to ${formatLsn(end)}; --timeline ${name} leads there`,
    ];
  });
}
