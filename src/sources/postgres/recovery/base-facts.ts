// What a physical backup says of itself, as far as a recovery from it must know.
import { z } from 'zod';
import type { RecoveryReader } from '../../source.ts';
import { AppError } from '../../../base/errors.ts';

export const baseFactsSchema = z.looseObject({
  method: z.literal('physical'),
  serverMajor: z.int(),
  systemIdentifier: z.string(),
  walSegmentBytes: z.int(),
  consistentLsn: z.string(),
  /** By the server's clock, microseconds since 1970, after that position was read: no commit before it is later. */
  consistentTimeUs: z.int().optional(),
  sizeBytes: z.number().optional(),
  tablespaces: z.array(z.object({ oid: z.int(), location: z.string() })).default([]),
  /** The role that is sure to exist in each copy. */
  superuser: z.string().optional(),
});

export type BaseFacts = z.infer<typeof baseFactsSchema>;

export async function readBaseFacts(reader: RecoveryReader, signal: AbortSignal): Promise<BaseFacts> {
  const parsed = baseFactsSchema.safeParse(await reader.facts(signal));
  if (parsed.data !== undefined) return parsed.data;
  throw new AppError(
    'SOURCE_UNSUPPORTED',
    'this backup is not a physical one, or does not say what a recovery must know',
    {
      hint: 'Choose another backup.',
    },
  );
}
