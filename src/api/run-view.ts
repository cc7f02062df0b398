// A run as the API shows it.
import { z } from 'zod';
import { isoTime, maybeIsoTime } from '../base/iso-time.ts';
import type { RunRow } from '../catalog/runs.ts';
import { labelsIn } from '../catalog/workers.ts';
import { openStates, runStates, type RunState } from '../catalog/tables.ts';

const time = z.string().optional();

export const runSchema = z
  .object({
    id: z.string(),
    kind: z.string(),
    application: z.string().optional(),
    component: z.string().optional(),
    state: z.enum(runStates),
    attempt: z.number(),
    labels: z.array(z.string()),
    origin: z.unknown(),
    output: z.unknown().optional(),
    error: z.unknown().optional(),
    isCancelling: z.boolean(),
    waitsFor: z.string().optional().describe('what it waits for: approval'),
    createdAt: z.string(),
    startedAt: time,
    endedAt: time,
  })
  .meta({ id: 'Run' });

const maybeJson = (text: string | null): unknown => (text === null ? undefined : JSON.parse(text));
export const isOpen = (state: RunState): boolean => openStates.some((one) => one === state);

export function runView(row: RunRow): z.infer<typeof runSchema> {
  return {
    id: row.id,
    kind: row.kind,
    application: row.application ?? undefined,
    component: row.component ?? undefined,
    state: row.state,
    attempt: row.attempt,
    labels: labelsIn(row.labels),
    origin: JSON.parse(row.origin) as unknown,
    output: maybeJson(row.output),
    error: maybeJson(row.error),
    isCancelling: row.cancelRequestedAtMs !== null && isOpen(row.state),
    waitsFor: row.waitsFor ?? undefined,
    createdAt: isoTime(row.createdAtMs),
    startedAt: maybeIsoTime(row.startedAtMs),
    endedAt: maybeIsoTime(row.endedAtMs),
  };
}
