// Long lists, a page at a time. A cursor says behind what the next page begins; what is in it is nobody's business.
import { z } from 'zod';
import { AppError } from '../base/errors.ts';

const limitMax = 200;
const cursorMaxLength = 1000;

export const pageQuery = {
  limit: z.coerce.number().int().min(1).max(limitMax).default(50).describe('how many at most'),
  cursor: z.string().max(cursorMaxLength).optional().describe('nextCursor of the page before'),
};

export const pageOf = <Item extends z.ZodType>(item: Item) =>
  z.object({ items: z.array(item), nextCursor: z.string().optional() });

/** `rows` holds one more than fits, if there is a next page. */
export function pageFrom<Row, View>(
  rows: readonly Row[],
  limit: number,
  { view, place }: { readonly view: (row: Row) => View; readonly place: (row: Row) => unknown },
): { readonly items: View[]; readonly nextCursor?: string } {
  const shown = rows.slice(0, limit);
  const last = shown.at(-1);
  const items = shown.map((row) => view(row));
  if (rows.length <= limit || last === undefined) return { items };
  return { items, nextCursor: Buffer.from(JSON.stringify(place(last))).toString('base64url') };
}

/** Rejects with `REQUEST_INVALID` for a cursor that is none of this list. */
export function placeIn<Place>(cursor: string | undefined, schema: z.ZodType<Place>): Place | undefined {
  if (cursor === undefined) return undefined;
  const parsed = schema.safeParse(jsonOf(Buffer.from(cursor, 'base64url').toString()));
  if (parsed.success) return parsed.data;
  throw foreignCursor();
}

/** The application that something is of, and its name there. */
export type ConfiguredPlace = readonly [application: string, name: string];
const configuredSchema = z.tuple([z.string(), z.string()]);

/** Of all that is configured, in its order: what comes behind the cursor. Throws `REQUEST_INVALID` if that is configured no more. */
export function behind<Item>(
  all: readonly Item[],
  cursor: string | undefined,
  placeOf: (item: Item) => ConfiguredPlace,
): readonly Item[] {
  const place = placeIn(cursor, configuredSchema);
  if (place === undefined) return all;
  const [application, name] = place;
  const last = all.findIndex((item) => {
    const own = placeOf(item);
    return own[0] === application && own[1] === name;
  });
  if (last === -1) throw foreignCursor();
  return all.slice(last + 1);
}

function foreignCursor(): AppError {
  return new AppError('REQUEST_INVALID', 'the cursor is none of this list', {
    hint: 'Give nextCursor as the page before had it, or leave it out.',
  });
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
