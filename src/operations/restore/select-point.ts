// Which snapshot a user means by `latest`, `latest-proven`, `before:<time>` or an id. Pure but for the id's resolution.
import { AppError } from '../../base/errors.ts';
import { parseTime } from '../../repository/go-text.ts';
import type { StoredSnapshot } from '../../repository/snapshot.ts';

export interface PointRequest {
  /** `latest`, `latest-proven`, `before:<time>`, or the beginning of an id. */
  readonly from: string;
  /** Only snapshots of this component; any if absent. */
  readonly component?: string | undefined;
}

/** Component a snapshot belongs to: by our own field, or by the tag that survives restic's rewriting. */
export function componentOf(snapshot: StoredSnapshot): string | undefined {
  return (
    snapshot.lifeboat?.component ??
    snapshot.tags.find((tag) => tag.startsWith('component='))?.slice('component='.length)
  );
}

/** `snapshots` are sorted oldest first. `isProven` is asked for root trees. */
export function selectPoint(
  snapshots: readonly StoredSnapshot[],
  request: PointRequest,
  isProven: (tree: string) => boolean,
): StoredSnapshot {
  const { from, component } = request;
  const own = component === undefined ? snapshots : snapshots.filter((snapshot) => componentOf(snapshot) === component);
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
    return own.findLast(({ time }) => parseTime(time) < limit);
  }
  const fitting = /^[0-9a-f]{4,64}$/.test(from) ? own.filter(({ id }) => id.startsWith(from)) : [];
  if (fitting.length > 1) {
    throw new AppError('AMBIGUOUS', `'${from}' fits ${fitting.length} snapshots`, {
      hint: 'Give more digits of the id.',
    });
  }
  return fitting[0];
}

/** `2026-11-20`, `2026-11-20 10:15`, `2026-11-20T10:15:00+01:00`; without a zone it is this machine's. */
function parseLimit(text: string): bigint {
  const local = /^\d{4}-\d\d-\d\d$/.test(text) ? `${text}T00:00` : text.replace(' ', 'T');
  const milliseconds = new Date(local).getTime();
  if (Number.isNaN(milliseconds) || !/^\d{4}-\d\d-\d\d/.test(text)) {
    throw new AppError('USAGE', `'${text}' is not a time`, {
      hint: 'Write it as 2026-11-20 or 2026-11-20T10:15:00+01:00.',
    });
  }
  return BigInt(milliseconds) * 1_000_000n;
}
