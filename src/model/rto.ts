// How fast a component comes back: as its last restore did, and as it is to be expected now. From restores that were really done and
// compared (proofs), never from guesses.

/** A restore that was carried to its end. */
export interface TimedRestore {
  readonly atMs: number;
  readonly tookMs: number;
  readonly restoredBytes: number;
}

export interface RestoreTime {
  /** Of the newest one. */
  readonly lastMs: number;
  readonly atMs: number;
  /** Of the last ones, scaled to the size of today; absent while there are too few. */
  readonly forecast: { readonly lowMs: number; readonly highMs: number; readonly restores: number } | undefined;
}

export type RtoState = 'met' | 'at_risk' | 'breached' | 'unknown' | 'none';

const restoresMax = 10;
/** With fewer an interval says nothing. */
const restoresMin = 3;

/**
 * Undefined if there was none. The forecast is the shortest and the longest of the last ten, each taken longer by as much as there is more
 * to restore now; nothing is taken shorter, since a part of every restore does not depend on the size.
 */
export function restoreTimeOf(
  restores: readonly TimedRestore[],
  sizeBytes: number | undefined,
): RestoreTime | undefined {
  const last = restores.toSorted((left, right) => left.atMs - right.atMs).slice(-restoresMax);
  const newest = last.at(-1);
  if (newest === undefined) return undefined;
  const expected = last.map(({ tookMs, restoredBytes }) =>
    sizeBytes === undefined || restoredBytes === 0 ? tookMs : tookMs * Math.max(1, sizeBytes / restoredBytes),
  );
  const forecast =
    last.length < restoresMin
      ? undefined
      : {
          lowMs: Math.round(Math.min(...expected)),
          highMs: Math.round(Math.max(...expected)),
          restores: last.length,
        };
  return { lastMs: newest.tookMs, atMs: newest.atMs, forecast };
}

/** Breached where even the best that is to be expected takes too long, or the last one did; at risk where the worst does. */
export function rtoStateOf(restore: RestoreTime | undefined, rtoMs: number | undefined): RtoState {
  if (rtoMs === undefined) return 'none';
  if (restore === undefined) return 'unknown';
  const { lastMs, forecast } = restore;
  if (lastMs > rtoMs || (forecast !== undefined && forecast.lowMs > rtoMs)) return 'breached';
  return forecast !== undefined && forecast.highMs > rtoMs ? 'at_risk' : 'met';
}
