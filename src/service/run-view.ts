// A run as people and programs are shown it, by the API and by the command line: no times in milliseconds, no JSON in texts.
import { z } from 'zod';
import { isoTime, maybeIsoTime } from '../base/iso-time.ts';
import type { RunEventRow } from '../catalog/run-events.ts';
import type { RunRow } from '../catalog/runs.ts';
import type { StepRow } from '../catalog/steps.ts';
import { openStates, runStates, type RunState } from '../catalog/tables.ts';
import { labelsIn } from '../catalog/workers.ts';

const time = z.string().optional();

export const runSchema = z
  .object({
    id: z.string(),
    kind: z.string(),
    job: z.string().optional().describe("as 'lifeboat schedule' names it: backup/database; absent in a restore"),
    application: z.string().optional(),
    component: z.string().optional(),
    state: z.enum(runStates),
    attempt: z.number(),
    attemptsMax: z.number().describe('how often it is tried at most'),
    labels: z.array(z.string()),
    origin: z.unknown(),
    output: z.unknown().optional(),
    error: z.unknown().optional(),
    progress: z.unknown().optional().describe('how far it was when last heard of'),
    isCancelling: z.boolean(),
    waitsFor: z.string().optional().describe('what it waits for: approval'),
    createdAt: z.string(),
    startedAt: time,
    endedAt: time,
    goesOnAt: time.describe('of a run that waits to be tried again'),
  })
  .meta({ id: 'Run' });

export type RunView = z.infer<typeof runSchema>;

const maybeJson = (text: string | null): unknown => (text === null ? undefined : JSON.parse(text));
export const isOpen = (state: RunState): boolean => openStates.some((one) => one === state);

const jobSchema = z.object({ job: z.string().optional() });

export function runView(row: RunRow): RunView {
  return {
    id: row.id,
    kind: row.kind,
    job: jobSchema.parse(JSON.parse(row.input)).job,
    application: row.application ?? undefined,
    component: row.component ?? undefined,
    state: row.state,
    attempt: row.attempt,
    attemptsMax: row.attemptsMax,
    labels: labelsIn(row.labels),
    origin: JSON.parse(row.origin) as unknown,
    output: maybeJson(row.output),
    error: maybeJson(row.error),
    progress: maybeJson(row.progress),
    isCancelling: row.cancelRequestedAtMs !== null && isOpen(row.state),
    waitsFor: row.waitsFor ?? undefined,
    createdAt: isoTime(row.createdAtMs),
    startedAt: maybeIsoTime(row.startedAtMs),
    endedAt: maybeIsoTime(row.endedAtMs),
    goesOnAt: isOpen(row.state) ? maybeIsoTime(row.wakeAtMs) : undefined,
  };
}

export const stepSchema = z
  .object({ name: z.string(), state: z.enum(['begun', 'done']), begunAt: z.string(), doneAt: z.string().optional() })
  .meta({ id: 'RunStep' });

export type StepView = z.infer<typeof stepSchema>;

export const stepView = ({ name, state, begunAtMs, doneAtMs }: StepRow): StepView => ({
  name,
  state,
  begunAt: isoTime(begunAtMs),
  doneAt: maybeIsoTime(doneAtMs),
});

export const eventSchema = z
  .object({ number: z.number(), at: z.string(), kind: z.string(), text: z.string() })
  .meta({ id: 'RunEvent' });

export type EventView = z.infer<typeof eventSchema>;

export const eventView = ({ number, atMs, kind, text }: RunEventRow): EventView => ({
  number,
  at: isoTime(atMs),
  kind,
  text,
});
