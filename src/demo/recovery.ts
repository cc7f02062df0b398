// After the disaster: the database goes back to the instant before it, all else to its newest backup; then everything is compared
// with what the shop had, by our own counts.
import { count } from '../base/count.ts';
import { AppError } from '../base/errors.ts';
import { restoreCommand } from '../cli/commands/restore.ts';
import type { CommandContext } from '../cli/context.ts';
import { noInstant } from '../cli/replay-request.ts';
import type { Component } from '../model/component.ts';
import { compareLive, type LiveComparison } from './live-comparison.ts';
import { compareManifests, type Manifest } from './manifest.ts';
import type { StepResult } from './narrator.ts';
import type { DemoDatabase } from './parts.ts';
import type { Recovery } from './report.ts';
import { compareTables, rowsIn } from './shop-database.ts';
import type { Order } from './shop-orders.ts';
import type { Shop, ShopState } from './shop.ts';

export interface Disaster {
  /** The last moment at which all was well: by the database's clock, if there is one. */
  readonly instant: string;
  readonly before: ShopState;
  readonly after: ShopState;
  /** Orders that came in after the last backup. */
  readonly confirmed: readonly Order[];
}

export interface Restored {
  readonly component: Component;
  /** It came from there. */
  readonly snapshot: string;
  readonly seconds: number;
  readonly restoredBytes: number;
  readonly kept: string | undefined;
  readonly problems: readonly string[];
}

export interface Restoring {
  readonly context: CommandContext;
  readonly disaster: Disaster;
  readonly database: DemoDatabase | undefined;
}

/** By tier, as in earnest. The confirmation that a user would type is given here: all of it is ours. */
export async function restoreAll(
  components: readonly Component[],
  restoring: Restoring,
): Promise<StepResult<Restored[]>> {
  const { context, disaster } = restoring;
  const result: Restored[] = [];
  for (const component of components.toSorted((left, right) => (left.tier < right.tier ? -1 : 1))) {
    const startMs = context.clock.now();
    const restored =
      component.type === 'postgres' ? await restoreDatabase(component, restoring) : await inPlace(component, restoring);
    result.push({ ...restored, seconds: (context.clock.now() - startMs) / 1000 });
  }
  const words = result.map(({ component, seconds }) => {
    const where = component.type === 'postgres' ? ` to ${disaster.instant}` : '';
    return `${component.name}${where} in ${seconds.toFixed(1)} s`;
  });
  const facts = { restored: result.map(({ component, ...rest }) => ({ component: component.name, ...rest })) };
  return { text: words.join(', '), facts, result };
}

const request = {
  from: undefined,
  component: undefined,
  to: undefined,
  include: [],
  exclude: [],
  base: undefined,
  isDelta: false,
  isDryRun: false,
  isConfirmed: true,
  ...noInstant,
};

type Done = Omit<Restored, 'seconds'>;

/** The server has gone on: what it backed up since is of what the disaster left. */
async function inPlace(component: Component, { context, disaster }: Restoring): Promise<Done> {
  const from = `before:${disaster.instant}`;
  return doneOf(component, await restoreCommand.run(context, { ...request, what: component.name, from }));
}

/** The old server is stopped and its data stay as they are; a new data folder is what starts in its stead. */
async function restoreDatabase(component: Component, restoring: Restoring): Promise<Done> {
  const { context, disaster, database } = restoring;
  if (database === undefined) throw new Error(`${component.name} has no server`);
  await database.stop();
  const { restoreFolder: to } = database;
  const data = await restoreCommand.run(context, { ...request, what: component.name, at: disaster.instant, to });
  await database.startRestored(context.signal);
  return { ...doneOf(component, data), kept: `the data folder of the old server, ${database.dataFolder}` };
}

function doneOf(component: Component, { snapshot, report }: Awaited<ReturnType<typeof restoreCommand.run>>): Done {
  if (report === undefined) throw new AppError('RESTORE_FAILED', 'nothing was restored', { hint: 'Try again.' });
  return {
    component,
    snapshot: snapshot.id,
    restoredBytes: report.bytes,
    kept: report.kept,
    problems: report.problems.map(({ path, message }) => `${path}: ${message}`),
  };
}

export interface Comparing {
  readonly shop: Shop;
  readonly context: CommandContext;
  readonly disaster: Disaster;
}

export interface Comparison {
  readonly recoveries: readonly Recovery[];
  /** Of those after the last backup. */
  readonly orders: { readonly confirmed: number; readonly lost: number };
}

export async function compareAll(
  restored: readonly Restored[],
  { shop, context, disaster }: Comparing,
): Promise<StepResult<Comparison>> {
  const now = await shop.measure(context.signal);
  const missing = (await shop.missingOrders(disaster.confirmed, context.signal)) ?? [];
  const recoveries: Recovery[] = [];
  for (const one of restored) {
    context.progress.update({ work: 'compare', detail: one.component.name });
    recoveries.push(await recoveryOf(one, { context, disaster, now }));
  }
  const orders = { confirmed: disaster.confirmed.length, lost: missing.length };
  const equal = recoveries.filter(({ differences }) => differences.length === 0).length;
  const items = recoveries.reduce((sum, { compared }) => sum + compared, 0);
  const text = `${equal} of ${count(recoveries.length, 'component')} as they were: ${count(items, 'row, file and kind of key', 'rows, files and kinds of keys')} compared`;
  return { text, facts: { recoveries, orders }, result: { recoveries, orders } };
}

interface Measured {
  readonly context: CommandContext;
  readonly disaster: Disaster;
  readonly now: ShopState;
}

async function recoveryOf(restored: Restored, { context, disaster, now }: Measured): Promise<Recovery> {
  const { component, seconds, restoredBytes, kept, problems } = restored;
  const common = { component: component.name, seconds, restoredBytes, kept };
  const { before, after } = disaster;
  switch (component.type) {
    case 'files':
      return { ...common, unit: 'file', ...ofManifests([before.uploads, after.uploads, now.uploads], problems) };
    case 'config': {
      const manifests = [before.configuration, after.configuration, now.configuration] as const;
      return { ...common, unit: 'file', ...ofManifests(manifests, problems) };
    }
    case 'postgres':
      return { ...common, unit: 'row', ...ofTables([before, after, now], problems) };
    case 'redis':
      break;
  }
  const live = await compareLive(restored, context);
  return { ...common, unit: 'key', ...ofCounts([before.keys, after.keys, now.keys]), ...ofLive(live, problems) };
}

function ofCounts([before = 0, after = 0, now = 0]: readonly (number | undefined)[]) {
  return { before, lost: before - after, back: now - after };
}

function ofLive({ compared, differences }: LiveComparison, problems: readonly string[]) {
  return { comparedBy: 'fingerprint', compared, differences: [...problems, ...differences] } as const;
}

/** A row that is there with another content is counted by nobody, but found. */
function ofTables(states: readonly [ShopState, ShopState, ShopState], problems: readonly string[]) {
  const [before, after, now] = states.map(({ tables = [] }) => tables);
  const rows = rowsIn(before ?? []);
  return {
    ...ofCounts([rows, rowsIn(after ?? []), rowsIn(now ?? [])]),
    comparedBy: 'hashes',
    compared: rows,
    differences: [...problems, ...compareTables(before ?? [], now ?? [])],
  } as const;
}

function ofManifests([before, after, now]: readonly [Manifest, Manifest, Manifest], problems: readonly string[]) {
  const lost = compareManifests(before, after);
  const left = compareManifests(before, now);
  return {
    before: before.size,
    lost: lost.length,
    back: lost.length - left.length,
    comparedBy: 'hashes',
    compared: before.size,
    differences: [...problems, ...left.map(({ path, kind }) => `${path} is ${kind}`)],
  } as const;
}
