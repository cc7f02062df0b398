// Entries of lifeboat.yaml that a command goes through, such as probes: all of a section, or those that are named.
import { AppError } from '../base/errors.ts';
import type { LoadedConfiguration } from './context.ts';

/** For messages. */
interface EntryWords {
  /** `probe`. */
  readonly one: string;
  /** Where there are none: what is missing, and how to have one. */
  readonly none: string;
  readonly hint: string;
}

/**
 * In the order of the file. Those whose settings refer to something that is not set are among them: that they are left out must not be
 * overlooked. Rejects with `NOT_FOUND` where there are none, or a name is none of theirs.
 */
export function namedEntries(
  configuration: LoadedConfiguration,
  section: 'probes' | 'warmUp',
  { names, words }: { readonly names: readonly string[]; readonly words: EntryWords },
): readonly string[] {
  const prefix = `${section}.`;
  const left = [...configuration.unset.keys()].filter((key) => key.startsWith(prefix));
  const known = [...Object.keys(configuration[section]), ...left.map((key) => key.slice(prefix.length))];
  if (known.length === 0) throw new AppError('NOT_FOUND', words.none, { hint: words.hint });
  const unknown = names.find((name) => !known.includes(name));
  if (unknown === undefined) return names.length === 0 ? known : known.filter((name) => names.includes(name));
  throw new AppError('NOT_FOUND', `there is no ${words.one} '${unknown}' in lifeboat.yaml`, {
    hint: `Choose one of these: ${known.join(', ')}.`,
  });
}

/** Why an entry is left out. */
export function whyUnset(
  { unset }: LoadedConfiguration,
  section: 'probes' | 'warmUp',
  name: string,
): { readonly message: string; readonly hint: string } {
  return unset.get(`${section}.${name}`) ?? { message: 'it is not set up', hint: 'Set what it refers to.' };
}
