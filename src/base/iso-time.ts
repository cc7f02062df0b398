// Moments as people and programs are shown them: RFC 3339, in UTC.

export const isoTime = (ms: number): string => new Date(ms).toISOString();

/** Absent stays absent, whichever way it is written. */
export const maybeIsoTime = (ms: number | null | undefined): string | undefined =>
  ms === null || ms === undefined ? undefined : isoTime(ms);
