// Which snapshot a user means by `latest`, `latest-proven`, `before:<time>` or an id. Pure but for the id's resolution.
import { AppError } from '../../base/errors.ts';
import { selfComponent } from '../../model/self-backup.ts';
import { parseTime } from '../../repository/go-text.ts';
import { summaryTimeMs } from '../../repository/snapshot-summary.ts';
import type { StoredSnapshot } from '../../repository/snapshot.ts';

export interface PointRequest {
  /** `latest`, `latest-proven`, `before:<time>`, or the beginning of an id. */
  readonly from: string;
  /** Only snapshots of this component; any if absent. */
  readonly component?: string | undefined;
  /**
   * Only those of this application, unless one is named by its id; of any if absent. Without a component also those of none, which somebody
   * took of paths: what is left out are the components of a neighbour.
   */
  readonly host?: string | undefined;
}

/** Words that mean the newest of all that fit, wherever it lies; an id means one snapshot, wherever it is found first. */
export const isRelative = (from: string): boolean => /^(?:latest|latest-proven|before:.*)$/.test(from);

/** Component a snapshot belongs to: by our own field, or by the tag that survives restic's rewriting. */
export function componentOf(snapshot: StoredSnapshot): string | undefined {
  return (
    snapshot.lifeboat?.component ??
    snapshot.tags.find((tag) => tag.startsWith('component='))?.slice('component='.length)
  );
}

/** Applications that share a repository may name their components alike. The state of the service is meant only where it is named. */
export function isOf(snapshot: StoredSnapshot, { from, component, host }: PointRequest): boolean {
  const own = componentOf(snapshot);
  if (component === undefined ? isRelative(from) && own === selfComponent : own !== component) return false;
  if (component === undefined && own === undefined) return true;
  return host === undefined || snapshot.hostname === host || !isRelative(from);
}

/** `snapshots` are sorted oldest first. `isProven` is asked for root trees. */
export function selectPoint(
  snapshots: readonly StoredSnapshot[],
  request: PointRequest,
  isProven: (tree: string) => boolean,
): StoredSnapshot {
  const { from, component } = request;
  const own = snapshots.filter((snapshot) => isOf(snapshot, request));
  const found = pick(own, from, isProven);
  if (found !== undefined) return found;
  const whose = component === undefined ? '' : ` of ${component}`;
  const hint = own.length === 0 ? "Take one with 'lifeboat backup'." : "List what there is with 'lifeboat snapshots'.";
  throw new AppError('NOT_FOUND', `there is no snapshot${whose} for '${from}' among ${own.length}`, { hint });
}

function pick(
  own: readonly StoredSnapshot[],
  from: string,
  isProven: (tree: string) => boolean,
): StoredSnapshot | undefined {
  if (from === 'latest') return own.at(-1);
  if (from === 'latest-proven') return own.findLast(({ tree }) => isProven(tree));
  if (from.startsWith('before:')) {
    const limit = parseLimit(from.slice('before:'.length));
    return own.findLast((snapshot) => endOf(snapshot) < limit);
  }
  const fitting = /^[0-9a-f]{4,64}$/.test(from) ? own.filter(({ id }) => id.startsWith(from)) : [];
  if (fitting.length > 1) {
    throw new AppError('AMBIGUOUS', `'${from}' fits ${fitting.length} snapshots`, {
      hint: 'Give more digits of the id.',
    });
  }
  return fitting[0];
}

/** What was being read at an instant may hold what came after it. By its own clock: some snapshots are dated otherwise on purpose. */
function endOf(snapshot: StoredSnapshot): bigint {
  const startMs = summaryTimeMs(snapshot, 'backup_start');
  const endMs = summaryTimeMs(snapshot, 'backup_end');
  const tookMs = startMs === undefined || endMs === undefined ? 0 : Math.max(0, endMs - startMs);
  return parseTime(snapshot.time) + BigInt(tookMs) * 1_000_000n;
}

const limitForm = /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?(Z|[+-]\d\d:\d\d)?)?$/;

/** `2026-11-20`, `2026-11-20 10:15`, `2026-11-20T10:15:00+01:00`; without a zone it is this machine's. */
function parseLimit(text: string): bigint {
  const [, date = '', time = '00:00', second = '00', fraction = '', zone = ''] = limitForm.exec(text) ?? [];
  const milliseconds = new Date(`${date}T${time}:${second}${zone}`).getTime();
  // The 30th of February would pass for a day in March.
  const isDay = !Number.isNaN(milliseconds) && new Date(`${date}T00:00Z`).toISOString().startsWith(date);
  if (!isDay) {
    throw new AppError('USAGE', `'${text}' is not a time`, {
      hint: 'Write it as 2026-11-20 or 2026-11-20T10:15:00+01:00.',
    });
  }
  return BigInt(milliseconds) * 1_000_000n + BigInt(fraction.padEnd(9, '0'));
}
