// From policies to what stays and what goes: the decision that `retention`, `repository forget` and `doctor` share.
import type { Application } from '../model/application.ts';
import { retentionIn } from '../model/policy.ts';
import { decideRetention, type RetentionDecision, type RetentionPolicy } from '../model/retention.ts';
import { groupSnapshots } from '../model/snapshot-groups.ts';
import { verifiedTrees } from '../model/verification.ts';
import { componentOf } from '../operations/restore/select-point.ts';
import { forgetSnapshots } from '../repository/forget.ts';
import { loadSnapshots, type StoredSnapshot } from '../repository/snapshot.ts';
import type { Repository } from '../repository/repository.ts';
import { anomaliesForSure, openAnomalies, type Anomaly } from './anomaly-notes.ts';
import type { CommandContext } from './context.ts';
import { provenTrees, provenTreesForSure } from './proofs.ts';
import { loadVerifications } from './verifications.ts';
import { shortId, shortTime, type Style } from './style.ts';
import { table } from './table.ts';

export interface RetainedSnapshot {
  readonly id: StoredSnapshot['id'];
  readonly time: string;
  readonly component: string | undefined;
  readonly keep: boolean;
  readonly reasons: readonly string[];
  /** Whether all of its component stays because a backup of it is odd. */
  readonly isFrozen: boolean;
}

export interface RetentionRequest {
  /** The policy of a component's snapshots; undefined leaves them alone. */
  policyOf(component: string | undefined): RetentionPolicy | undefined;
  readonly host?: string | undefined;
  readonly forgetProven: boolean;
}

/** Done, but a person has to look before anything goes. */
export const frozenExitCode = (snapshots: readonly RetainedSnapshot[]): number =>
  snapshots.some(({ isFrozen }) => isFrozen) ? 3 : 0;

/** A component that the configuration no longer names has no policy: its snapshots stay until someone removes them. */
export function policyIn(application: Application, repository: string): RetentionRequest['policyOf'] {
  return (name) => {
    const component = application.components.find((each) => each.name === name);
    return component === undefined ? undefined : retentionIn(component.policy, repository);
  };
}

/**
 * Groups are those of restic: same host, same paths. Newest first in each. Of a component with an odd backup that nobody has accepted all
 * stays: what came before may be the last that is whole.
 */
export async function decideRetentionOf(
  repository: Repository,
  request: RetentionRequest,
  { clock, signal }: Pick<CommandContext, 'clock' | 'signal'>,
): Promise<RetainedSnapshot[]> {
  const all = await loadSnapshots(repository, signal);
  const snapshots = all.filter(({ hostname }) => request.host === undefined || hostname === request.host);
  const trees = await (request.forgetProven ? provenTrees : provenTreesForSure)(repository, signal);
  const verified = verifiedTrees(await loadVerifications(repository, signal));
  const idsOf = (known: { has(tree: string): boolean }): Set<string> =>
    new Set(snapshots.filter(({ tree }) => known.has(tree)).map(({ id }) => id));
  const provenIds = idsOf(trees);
  const verifiedIds = idsOf(verified);
  const anomalies = await anomaliesForSure(repository, signal);
  const decisions: (RetentionDecision<StoredSnapshot> & { readonly isFrozen?: true })[] = [];
  for (const component of new Set(snapshots.map(componentOf))) {
    const policy = request.policyOf(component);
    if (policy === undefined) continue;
    const own = snapshots.filter((snapshot) => componentOf(snapshot) === component);
    const context = { now: clock.now(), provenIds, verifiedIds, forgetProven: request.forgetProven };
    const [odd] = openAnomalies(anomalies, own);
    const decided = groupSnapshots(own).flatMap((group) => decideRetention(group.snapshots, policy, context));
    decisions.push(...(odd === undefined ? decided : decided.map((each) => frozen(each, odd))));
  }
  return decisions.map(({ snapshot, keep, reasons, isFrozen = false }) => ({
    id: snapshot.id,
    time: snapshot.time,
    component: componentOf(snapshot),
    keep,
    reasons,
    isFrozen,
  }));
}

function frozen<Snapshot>(
  { snapshot, reasons }: RetentionDecision<Snapshot>,
  { snapshot: odd }: Anomaly,
): RetentionDecision<Snapshot> & { readonly isFrozen: true } {
  return { snapshot, keep: true, reasons: [...reasons, `frozen: ${shortId(odd)} is odd`], isFrozen: true };
}

/**
 * Removes what was shown, under the lock that keeps others away. Minutes may have passed since it was shown, waiting for an
 * answer or for the lock: what is to stay by what is there now stays. What could go only now was not shown, and stays too.
 * Returns what was shown, with what became of it.
 */
export async function forgetShown(
  repository: Repository,
  { shown, request }: { readonly shown: readonly RetainedSnapshot[]; readonly request: RetentionRequest },
  { clock, signal: outer, settings }: Pick<CommandContext, 'clock' | 'signal' | 'settings'>,
): Promise<readonly RetainedSnapshot[]> {
  let outcome = shown;
  const choose = async (signal: AbortSignal): Promise<StoredSnapshot['id'][]> => {
    const decided = await decideRetentionOf(repository, request, { clock, signal });
    const now = new Map(decided.map((snapshot) => [snapshot.id, snapshot]));
    outcome = shown.map((snapshot) => (snapshot.keep ? snapshot : (now.get(snapshot.id) ?? snapshot)));
    return outcome.filter(({ keep }) => !keep).map(({ id }) => id);
  };
  await forgetSnapshots(repository, choose, { signal: outer, lockWaitMs: settings.lockWaitMs });
  return outcome;
}

export function retentionTable(snapshots: readonly RetainedSnapshot[], style: Style): string {
  const columns = [
    { title: '' },
    { title: 'ID' },
    { title: 'Time' },
    { title: 'Component', shrinksTo: 10 },
    { title: 'Why', shrinksTo: 14 },
  ];
  const rows = snapshots.map(({ id, time, component, keep, reasons }) => [
    keep ? style.paint('green', 'keep') : style.paint('red', 'remove'),
    shortId(id),
    shortTime(time, style),
    component ?? '',
    reasons.join(', '),
  ]);
  return table(columns, rows, style);
}
