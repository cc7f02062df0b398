// Names of the files in pg_wal and in a WAL archive: segments, their unfinished forms, histories of timelines and of backups.

export type WalFileName =
  | { readonly kind: 'segment'; readonly timeline: number; readonly segment: number }
  /** The last segment of a timeline that another one took over from: it will never be completed. */
  | { readonly kind: 'partial'; readonly timeline: number; readonly segment: number }
  | { readonly kind: 'history'; readonly timeline: number }
  | { readonly kind: 'backup-history'; readonly timeline: number; readonly segment: number; readonly offset: number };

const segmentForm = /^([0-9A-F]{8})([0-9A-F]{8})([0-9A-F]{8})(\.partial|\.[0-9A-F]{8}\.backup)?$/;
const historyForm = /^([0-9A-F]{8})\.history$/;
const segmentBytesMin = 2 ** 20;
const segmentBytesMax = 2 ** 30;

/** The sizes that `initdb --wal-segsize` allows. */
export function isSegmentSize(sizeBytes: number): boolean {
  return sizeBytes >= segmentBytesMin && sizeBytes <= segmentBytesMax && Number.isInteger(Math.log2(sizeBytes));
}

/** `000000010000000000000003`; `segment` counts from the beginning of the WAL, as in a journal's position. */
export function segmentName(timeline: number, segment: number, segmentBytes: number): string {
  const perHalf = 2 ** 32 / segmentBytes;
  return [timeline, Math.floor(segment / perHalf), segment % perHalf].map(hex8).join('');
}

export function historyName(timeline: number): string {
  return `${hex8(timeline)}.history`;
}

/** What a file name says; undefined if no server with segments of this size would give it. */
export function parseWalFileName(name: string, segmentBytes: number): WalFileName | undefined {
  const [, ofHistory] = historyForm.exec(name) ?? [];
  if (ofHistory !== undefined) {
    const timeline = Number.parseInt(ofHistory, 16);
    return timeline === 0 ? undefined : { kind: 'history', timeline };
  }
  const [, timelineText = '', high = '', low = '', suffix = ''] = segmentForm.exec(name) ?? [];
  const timeline = Number.parseInt(timelineText, 16);
  const perHalf = 2 ** 32 / segmentBytes;
  const rest = Number.parseInt(low, 16);
  if (!(timeline > 0 && rest < perHalf)) return undefined;
  const segment = Number.parseInt(high, 16) * perHalf + rest;
  if (suffix === '') return { kind: 'segment', timeline, segment };
  if (suffix === '.partial') return { kind: 'partial', timeline, segment };
  const offset = Number.parseInt(suffix.slice(1, 9), 16);
  return offset < segmentBytes ? { kind: 'backup-history', timeline, segment, offset } : undefined;
}

function hex8(value: number): string {
  return value.toString(16).toUpperCase().padStart(8, '0');
}

/** The least `min_wal_size` that a server with such segments starts with; its own is larger, where its settings are read. */
export function minWalSize(segmentBytes: number): string {
  return `${Math.max(80, (2 * segmentBytes) / 2 ** 20)}MB`;
}
