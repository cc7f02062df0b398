// What segments at one end of a journal say of time, for whoever asks often: a few of them are looked at, and none that can't be read
// is in the way.
import { isAppError } from '../base/errors.ts';
import type { JsonObject } from '../base/json.ts';

/** Segments without a change say nothing of time: so many are looked at until one does. */
const lookedAtMax = 4;

/** In the order of the segments, of which only the first are read. */
export async function tellingFacts<Segment>(
  segments: readonly Segment[],
  read: (segment: Segment) => Promise<JsonObject>,
): Promise<JsonObject[]> {
  const facts: JsonObject[] = [];
  for (const segment of segments.slice(0, lookedAtMax)) {
    try {
      facts.push(await read(segment));
    } catch (error) {
      // Sealed or trimmed meanwhile, or damaged, which `verify` tells.
      if (!isAppError(error, 'NOT_FOUND', 'REPOSITORY_DAMAGED')) throw error;
    }
  }
  return facts;
}
