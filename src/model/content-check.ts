// Checks that a user writes against restored data: the last step of a proof.
import { z } from 'zod';

const rangeFields = {
  min: z.number().optional().describe('smallest value that passes'),
  max: z.number().optional().describe('largest value that passes'),
  equals: z.union([z.number(), z.string()]).optional().describe('the only value that passes'),
};

export const contentCheckSchema = z.union([
  z
    .strictObject({
      sql: z.string().min(1).describe('query whose first column of the first row is the value'),
      database: z.string().optional().describe('database to ask; the first one if absent'),
      ...rangeFields,
    })
    .describe('a query against the restored database'),
  z
    .strictObject({ keys: z.string().min(1).describe('pattern of Redis keys to count'), ...rangeFields })
    .describe('a count of restored Redis keys'),
  z
    .strictObject({
      file: z.string().min(1).describe('path that must be present, relative to the component'),
      minBytes: z.number().int().min(0).optional().describe('smallest size that passes'),
    })
    .describe('a restored file'),
]);

export type ContentCheck = z.infer<typeof contentCheckSchema>;
export type ValueRange = {
  readonly min?: number | undefined;
  readonly max?: number | undefined;
  readonly equals?: number | string | undefined;
};

/**
 * Whether a value a check found lies in its range; without a range, any value but nothing, 0 and false does. A database
 * answers numbers as text with all their digits: `100.00` equals 100. Nothing and an empty text are no 0.
 */
export function isInRange(value: unknown, { min, max, equals }: ValueRange): boolean {
  const number = isNothing(value) ? Number.NaN : Number(value);
  if (equals !== undefined)
    return String(value) === String(equals) || (typeof equals === 'number' && number === equals);
  if (min !== undefined || max !== undefined) return number >= (min ?? -Infinity) && number <= (max ?? Infinity);
  return !isNothing(value) && value !== false && number !== 0;
}

function isNothing(value: unknown): boolean {
  return value === undefined || value === null || value === '';
}
