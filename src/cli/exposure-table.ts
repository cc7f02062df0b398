// What components lose at worst, as a table: one column for each kind of disaster.
import { formatAtMost } from '../base/duration.ts';
import type { Exposure } from '../model/exposure.ts';
import { scenarios, scenarioWords } from '../model/scenario.ts';
import type { Style } from './style.ts';
import { table } from './table.ts';

/** Components to which something is promised; empty if there is none. */
export function exposureTable(exposures: readonly Exposure[], style: Style): string {
  const promised = [...Map.groupBy(exposures, ({ component }) => component)].filter(([, own]) =>
    own.some(({ objectiveMs }) => objectiveMs !== undefined),
  );
  if (promised.length === 0) return '';
  const columns = [
    { title: 'Lost at worst', shrinksTo: 10 },
    ...scenarios.map((scenario) => ({ title: capitalized(scenarioWords[scenario]), shrinksTo: 6 })),
  ];
  const rows = promised.map(([component, own]) => [
    component,
    ...scenarios.map((scenario) =>
      lossWords(
        own.find((each) => each.scenario === scenario),
        style,
      ),
    ),
  ]);
  return table(columns, rows, style);
}

function lossWords(exposure: Exposure | undefined, style: Style): string {
  if (exposure === undefined) return '';
  const { lossMs, isAtLeast, verdict } = exposure;
  const words = lossMs === 'all' ? 'all' : lossMs === 0 ? 'nothing' : formatAtMost(lossMs);
  const text = isAtLeast ? `${words}+` : words;
  return verdict === 'broken' ? style.paint('red', text) : text;
}

const capitalized = (text: string): string => `${text.charAt(0).toUpperCase()}${text.slice(1)}`;
