// The terminal, or whatever stands in its place: what it can show, and the two ways progress reaches it.
import { styleText } from 'node:util';
import type { Clock } from '../base/clock.ts';
import { messageOf } from '../base/errors.ts';
import { ProgressMeter, progressLine, statusMessage, type Progress, type ProgressSink } from './progress.ts';
import type { Style } from './style.ts';

export interface Streams {
  readonly stdin: NodeJS.ReadStream;
  readonly stdout: NodeJS.WriteStream;
  readonly stderr: NodeJS.WriteStream;
}

const widthDefaultColumns = 80;
const widthMinColumns = 40;
const redrawIntervalMs = 100;
const statusIntervalMs = 1000;

/** People can be asked: they see the question and can answer. */
export function isInteractive({ stdin, stderr }: Streams): boolean {
  return stdin.isTTY && stderr.isTTY;
}

export function widthOf(stream: NodeJS.WriteStream): number {
  return stream.isTTY ? Math.max(widthMinColumns, stream.columns || widthDefaultColumns) : widthDefaultColumns;
}

/** Colours where the stream shows them and NO_COLOR does not forbid it: `styleText` looks at both. */
export function styleFor(stream: NodeJS.WriteStream, options: { clock: Clock; isVerbose: boolean }): Style {
  return {
    widthColumns: widthOf(stream),
    isTerminal: stream.isTTY,
    paint: (format, text) => styleText(format, text, { stream }),
    timeZone: Temporal.Now.timeZoneId(),
    nowMs: options.clock.now(),
    isVerbose: options.isVerbose,
  };
}

/** A bar in the last line of a terminal; notes scroll by above it. */
export function terminalProgress(stream: NodeJS.WriteStream, clock: Clock): ProgressSink {
  const meter = new ProgressMeter();
  let drawnAtMs = 0;
  let isShown = false;
  const clear = (): void => {
    if (isShown) stream.write('\r\u001B[K');
    isShown = false;
  };
  return {
    update(progress) {
      const nowMs = clock.now();
      const measured = meter.measure(progress, nowMs);
      if (nowMs - drawnAtMs < redrawIntervalMs) return;
      drawnAtMs = nowMs;
      isShown = true;
      stream.write(`\r${progressLine(measured, widthOf(stream))}\u001B[K`);
    },
    note(text) {
      clear();
      stream.write(`${text}\n`);
    },
    clear,
  };
}

/** For logs and pipes: what stays is worth a line, a bar is not. */
export function plainProgress(stream: NodeJS.WriteStream): ProgressSink {
  return { update: () => undefined, note: (text) => void stream.write(`${text}\n`), clear: () => undefined };
}

/** One JSON object a line: at most one status a second, the notes as they come. */
export function jsonProgress(stream: NodeJS.WriteStream, clock: Clock): ProgressSink {
  const meter = new ProgressMeter();
  let writtenAtMs = -Infinity;
  let work: Progress['work'] | undefined;
  return {
    update(progress) {
      const nowMs = clock.now();
      const measured = meter.measure(progress, nowMs);
      if (progress.work === work && nowMs - writtenAtMs < statusIntervalMs) return;
      work = progress.work;
      writtenAtMs = nowMs;
      stream.write(`${JSON.stringify(statusMessage(measured))}\n`);
    },
    note: (text) => void stream.write(`${JSON.stringify({ message_type: 'note', text })}\n`),
    clear: () => undefined,
  };
}

/** JSON of what commands return: big numbers become text, as JSON readers lose their digits. */
export function toJson(value: unknown, indent?: number): string {
  return JSON.stringify(
    value,
    (_, part: unknown) => {
      if (typeof part === 'bigint') return part.toString();
      return part instanceof Error ? messageOf(part) : part;
    },
    indent,
  );
}
