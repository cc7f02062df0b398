// One metric whose value goes up and down.
import type { Family, Sample } from './exposition.ts';

export type Labelled = readonly [labels: Record<string, string>, value: number | null | undefined];

/** What is not known has no sample: an alert rule sees it by `absent`, and never by a zero. */
export function gauge(name: string, help: string, samples: readonly Labelled[]): Family {
  return {
    name: `lifeboat_${name}`,
    help,
    type: 'gauge',
    samples: samples.flatMap(([labels, value]): Sample[] =>
      value === null || value === undefined ? [] : [{ labels, value }],
    ),
  };
}
