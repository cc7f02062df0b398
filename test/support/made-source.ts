// Sources that a test makes up: entries from nowhere, or real ones between whose discovery and reading the disk changes.
import type { Fingerprint } from '../../src/model/fingerprint.ts';
import type { JournalStretch } from '../../src/sources/journal.ts';
import type { Entry, Source } from '../../src/sources/source.ts';

export interface MadeSource {
  readonly paths?: readonly string[];
  entries(signal: AbortSignal): AsyncIterable<Entry> | Iterable<Entry>;
  readonly fingerprint?: Fingerprint | undefined;
  readonly pagedBytes?: number | undefined;
  readonly journal?: JournalStretch | undefined;
  close?(): Promise<void>;
}

export function madeSource(made: MadeSource): Source {
  const { paths = ['/made'], fingerprint, pagedBytes, journal } = made;
  return {
    kind: 'made',
    restore: { kind: 'tree' },
    async *check() {},
    open: () =>
      Promise.resolve({
        paths,
        problems: [],
        pagedBytes,
        async *entries(signal: AbortSignal) {
          yield* made.entries(signal);
        },
        facts: () => Promise.resolve({}),
        fingerprint: () => Promise.resolve(fingerprint),
        journal: () => journal,
        [Symbol.asyncDispose]: () => made.close?.() ?? Promise.resolve(),
      }),
  };
}

/** Calls `act` for each entry after it was found, before anybody reads it. */
export function disturbedSource(inner: Source, act: (entry: Entry) => Promise<void> | void): Source {
  return {
    ...inner,
    async open(signal) {
      const session = await inner.open(signal);
      return {
        paths: session.paths,
        problems: session.problems,
        notes: session.notes,
        async *entries(each: AbortSignal) {
          for await (const entry of session.entries(each)) {
            await act(entry);
            yield entry;
          }
        },
        facts: (each) => session.facts(each),
        fingerprint: (each) => session.fingerprint(each),
        [Symbol.asyncDispose]: () => session[Symbol.asyncDispose](),
      };
    },
  };
}
