// Things that people name by the last characters of their id: the end differs where the beginning, the time, does not.
import { AppError } from '../base/errors.ts';

const shortColumns = 8;
export const shortEnding = (id: string): string => id.slice(-shortColumns);

/** Of what can't be undone, where a few characters would fit by chance: at least as much as lists show. */
export const isEndingOf = (id: string, text: string): boolean => text.length >= shortColumns && id.endsWith(text);

/** The one that was found; two are enough to know that there are several. Throws `NOT_FOUND` or `AMBIGUOUS`. */
export function onlyOne<Thing>(
  found: readonly Thing[],
  {
    text,
    one,
    several,
    list,
  }: { readonly text: string; readonly one: string; readonly several: string; readonly list: string },
): Thing {
  const [first] = found;
  if (first === undefined) {
    throw new AppError('NOT_FOUND', `there is no ${one} ${text}`, { hint: `'lifeboat ${list}' shows them.` });
  }
  if (found.length > 1) {
    throw new AppError('AMBIGUOUS', `${text} fits several ${several}`, { hint: 'Give more of the id.' });
  }
  return first;
}
