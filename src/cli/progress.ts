// How far long work has come, and how that reads: a bar on a terminal, JSON lines for programs, else nothing.
import { formatByteSize } from '../base/byte-size.ts';
import { count } from '../base/count.ts';
import { formatAge } from '../base/duration.ts';

/** What a command tells of its work. Every call states the whole of it; what is unknown is absent. */
export interface Progress {
  /** Two or three words: `backup uploads`. */
  readonly work: string;
  readonly bytesDone?: number | undefined;
  readonly bytesTotal?: number | undefined;
  readonly itemsDone?: number | undefined;
  readonly itemsTotal?: number | undefined;
  /** `file`, `pack`: shown with the counts. */
  readonly item?: string | undefined;
  /** What is worked on just now. */
  readonly detail?: string | undefined;
}

export interface ProgressSink {
  /** May be called as often as one likes; what is shown is limited. */
  update(progress: Progress): void;
  /** A line that stays: a step that begins, a file that could not be read. */
  note(text: string): void;
  /** Takes the bar away: before a question, at the end. */
  clear(): void;
}

export const noProgress: ProgressSink = { update: () => undefined, note: () => undefined, clear: () => undefined };

/** Progress with what time makes of it. */
export interface MeasuredProgress extends Progress {
  readonly elapsedMs: number;
  readonly bytesPerSecond: number | undefined;
}

/** Measures one piece of work after the other; a new name of the work starts anew. */
export class ProgressMeter {
  #work: string | undefined;
  #startMs = 0;

  measure(progress: Progress, nowMs: number): MeasuredProgress {
    if (progress.work !== this.#work) {
      this.#work = progress.work;
      this.#startMs = nowMs;
    }
    const elapsedMs = nowMs - this.#startMs;
    const isMeasurable = elapsedMs >= 500 && progress.bytesDone !== undefined;
    return {
      ...progress,
      elapsedMs,
      bytesPerSecond: isMeasurable ? ((progress.bytesDone ?? 0) * 1000) / elapsedMs : undefined,
    };
  }
}

/** From 0 to 1, or undefined where the total is unknown. Counts of items stand in where there are no bytes. */
export function shareDone({ bytesDone, bytesTotal, itemsDone, itemsTotal }: Progress): number | undefined {
  if (bytesDone !== undefined && bytesTotal !== undefined && bytesTotal > 0) return Math.min(1, bytesDone / bytesTotal);
  if (itemsDone !== undefined && itemsTotal !== undefined && itemsTotal > 0) return Math.min(1, itemsDone / itemsTotal);
  return undefined;
}

function remainingMs(progress: MeasuredProgress): number | undefined {
  const share = shareDone(progress);
  if (share === undefined || share === 0 || progress.elapsedMs < 1000) return undefined;
  return (progress.elapsedMs * (1 - share)) / share;
}

const workColumnsMax = 26;
const barColumnsMax = 20;
const barColumnsMin = 5;
const detailColumnsMin = 12;
const gap = '  ';

/**
 * One line of at most `widthColumns - 1`: a full line would make some terminals scroll. The bar takes what the numbers
 * leave, the detail what the bar leaves.
 */
export function progressLine(progress: MeasuredProgress, widthColumns: number): string {
  const width = widthColumns - 1;
  const share = shareDone(progress);
  const left = remainingMs(progress);
  const time = left === undefined ? formatAge(progress.elapsedMs) : `ETA ${formatAge(left)}`;
  const work = cut(progress.work, workColumnsMax);
  const numbers = [...(share === undefined ? [] : [percent(share)]), ...amounts(progress), time].join(gap);
  const room = width - work.length - numbers.length - 2 * gap.length - '[]'.length;
  const columns = share === undefined ? 0 : Math.min(barColumnsMax, room);
  const bar =
    columns < barColumnsMin ? [] : [`[${'#'.repeat(Math.round((share ?? 0) * columns)).padEnd(columns, '-')}]`];
  const line = [work, ...bar, numbers].join(gap);
  const detailColumns = width - line.length - gap.length;
  if (progress.detail === undefined || detailColumns < detailColumnsMin) return cut(line, width);
  const detail = progress.detail.replaceAll(/\p{C}/gu, '?');
  const shown = detail.length <= detailColumns ? detail : `…${detail.slice(detail.length - detailColumns + 1)}`;
  return `${line}${gap}${shown}`;
}

const percent = (share: number): string => `${Math.floor(share * 100)}%`.padStart(4);
const cut = (line: string, width: number): string => (line.length <= width ? line : `${line.slice(0, width - 1)}…`);

/** `42% of 1.5 GiB`, `12 MiB`: for a line that tells of something else as well. */
export function progressText(progress: Progress): string {
  const share = shareDone(progress);
  const done = formatByteSize(progress.bytesDone ?? 0);
  return share === undefined ? done : `${percent(share).trim()} of ${formatByteSize(progress.bytesTotal ?? 0)}`;
}

function amounts({ bytesDone, bytesTotal, itemsDone, itemsTotal, item, bytesPerSecond }: MeasuredProgress): string[] {
  const parts: string[] = [];
  if (itemsDone !== undefined && item !== undefined && bytesTotal === undefined) {
    parts.push(
      itemsTotal === undefined
        ? count(itemsDone, item)
        : `${itemsDone.toLocaleString('en-US')} of ${count(itemsTotal, item)}`,
    );
  }
  if (bytesDone !== undefined) {
    const total = bytesTotal === undefined ? '' : ` of ${formatByteSize(bytesTotal)}`;
    parts.push(`${formatByteSize(bytesDone)}${total}`);
  }
  if (bytesPerSecond !== undefined) parts.push(`${formatByteSize(Math.round(bytesPerSecond))}/s`);
  return parts;
}

/** The fields of a `status` line; numbers in the units their names say. */
export function statusMessage(progress: MeasuredProgress): Record<string, unknown> {
  const left = remainingMs(progress);
  return {
    message_type: 'status',
    work: progress.work,
    percentDone: shareDone(progress),
    bytesDone: progress.bytesDone,
    bytesTotal: progress.bytesTotal,
    itemsDone: progress.itemsDone,
    itemsTotal: progress.itemsTotal,
    bytesPerSecond: progress.bytesPerSecond === undefined ? undefined : Math.round(progress.bytesPerSecond),
    secondsElapsed: Math.round(progress.elapsedMs / 1000),
    secondsRemaining: left === undefined ? undefined : Math.round(left / 1000),
    detail: progress.detail,
  };
}
