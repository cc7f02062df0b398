// After the disaster: every component is restored in place, then compared with its backup and with our own counts.
import { count } from '../base/count.ts';
import { AppError } from '../base/errors.ts';
import { restoreCommand } from '../cli/commands/restore.ts';
import type { CommandContext } from '../cli/context.ts';
import { noInstant } from '../cli/replay-request.ts';
import type { Component } from '../model/component.ts';
import { compareLive, type LiveComparison } from './live-comparison.ts';
import { compareManifests, type Manifest } from './manifest.ts';
import type { StepResult } from './narrator.ts';
import type { Recovery } from './report.ts';
import type { Shop, ShopState } from './shop.ts';

export interface Restored {
  readonly component: Component;
  readonly seconds: number;
  readonly restoredBytes: number;
  readonly kept: string | undefined;
  readonly problems: readonly string[];
}

/** By tier, as in earnest. The confirmation that a user would type is given here: all of it is ours. */
export async function restoreAll(components: readonly Component[], context: CommandContext): Promise<Restored[]> {
  const restored: Restored[] = [];
  for (const component of components.toSorted((left, right) => (left.tier < right.tier ? -1 : 1))) {
    const { report, elapsedMs } = await restoreCommand.run(context, {
      what: component.name,
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
    });
    if (report === undefined) throw new AppError('RESTORE_FAILED', 'nothing was restored', { hint: 'Try again.' });
    restored.push({
      component,
      seconds: elapsedMs / 1000,
      restoredBytes: report.bytes,
      kept: report.kept,
      problems: report.problems.map(({ path, message }) => `${path}: ${message}`),
    });
  }
  return restored;
}

export interface Comparing {
  readonly shop: Shop;
  readonly context: CommandContext;
  readonly before: ShopState;
  /** The disaster. */
  readonly after: ShopState;
}

export async function compareAll(
  restored: readonly Restored[],
  { shop, context, before, after }: Comparing,
): Promise<StepResult<Recovery[]>> {
  const now = await shop.measure(context.signal);
  const recoveries: Recovery[] = [];
  for (const one of restored) {
    context.progress.update({ work: 'compare', detail: one.component.name });
    recoveries.push(await recoveryOf(one, { context, before, after, now }));
  }
  const equal = recoveries.filter(({ differences }) => differences.length === 0).length;
  const items = recoveries.reduce((sum, { compared }) => sum + compared, 0);
  const text = `${equal} of ${count(recoveries.length, 'component')} equal to their backup: ${count(items, 'fingerprint or hash', 'fingerprints and hashes')} compared`;
  return { text, facts: { recoveries }, result: recoveries };
}

type Measured = Omit<Comparing, 'shop'> & { readonly now: ShopState };

async function recoveryOf(restored: Restored, measured: Measured): Promise<Recovery> {
  const { component, seconds, restoredBytes, kept, problems } = restored;
  const common = { component: component.name, seconds, restoredBytes, kept };
  const { before, after, now } = measured;
  if (component.type === 'files') {
    return { ...common, unit: 'file', ...ofManifests([before.uploads, after.uploads, now.uploads], problems) };
  }
  if (component.type === 'config') {
    const manifests = [before.configuration, after.configuration, now.configuration] as const;
    return { ...common, unit: 'file', ...ofManifests(manifests, problems) };
  }
  const [unit, field] = component.type === 'postgres' ? (['row', 'rows'] as const) : (['key', 'keys'] as const);
  const live = await compareLive(component, measured.context);
  return { ...common, unit, ...ofCounts([before[field], after[field], now[field]]), ...ofLive(live, problems) };
}

function ofCounts([before = 0, after = 0, now = 0]: readonly (number | undefined)[]) {
  return { before, lost: before - after, back: now - after };
}

function ofLive({ compared, differences }: LiveComparison, problems: readonly string[]) {
  return { comparedBy: 'fingerprint', compared, differences: [...problems, ...differences] } as const;
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
