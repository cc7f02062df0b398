// How runs read: their state in a colour, what they are about, where they came from, how long they took.
import { z } from 'zod';
import type { Catalog } from '../catalog/catalog.ts';
import { runsByEnding } from '../catalog/run-history.ts';
import type { RunRow } from '../catalog/runs.ts';
import type { RunState } from '../catalog/tables.ts';
import type { RunView } from '../service/run-view.ts';
import { onlyOne, shortEnding } from './id-ending.ts';
import { elapsedWords, type Paint, type Style } from './style.ts';

const paintOf: Readonly<Record<RunState, Paint>> = {
  queued: 'dim',
  running: 'cyan',
  waiting: 'yellow',
  succeeded: 'green',
  failed: 'red',
  cancelled: 'yellow',
};

export const stateWords = (state: RunState, style: Style): string => style.paint(paintOf[state], state);

const originSchema = z.object({
  kind: z.string(),
  schedule: z.string().optional(),
  by: z.string().optional(),
  event: z.string().optional(),
  missed: z.number().optional(),
  id: z.string().optional(),
});

export function originWords(origin: unknown): string {
  const { kind, by, event, missed = 0, id = '' } = originSchema.parse(origin);
  if (kind === 'schedule') return missed === 0 ? 'schedule' : `schedule, ${missed} missed before`;
  if (kind === 'run') return `after ${shortEnding(id)}`;
  if (kind === 'event') return `before ${event ?? ''}`;
  return by ?? kind;
}

/** `backup/database`; of other runs what they are about. */
export const subjectWords = ({ job, kind, component, application }: RunView): string =>
  job ?? [kind, component ?? application].filter((part) => part !== undefined).join('/');

const outcomesSchema = z.object({ outcomes: z.array(z.object({ exitCode: z.number() })) });
const errorSchema = z.object({ code: z.string(), message: z.string(), hint: z.string() });

export type RunError = z.output<typeof errorSchema>;

export const errorOf = ({ error }: Pick<RunView, 'error'>): RunError | undefined => errorSchema.safeParse(error).data;

/** Whether a run that ended well left something out. */
export function hasWarnings({ output }: Pick<RunView, 'output'>): boolean {
  const parsed = outcomesSchema.safeParse(output);
  return parsed.data?.outcomes.some(({ exitCode }) => exitCode !== 0) ?? false;
}

export function durationWords({ startedAt, endedAt }: RunView, nowMs: number): string {
  if (startedAt === undefined) return '';
  return elapsedWords((endedAt === undefined ? nowMs : Date.parse(endedAt)) - Date.parse(startedAt));
}

/** By id, or the end of one. Rejects with `NOT_FOUND` or `AMBIGUOUS`. */
export async function requireRun(catalog: Catalog, text: string): Promise<RunRow> {
  return onlyOne(await runsByEnding(catalog, text, 2), { text, one: 'run', several: 'runs', list: 'runs list' });
}
