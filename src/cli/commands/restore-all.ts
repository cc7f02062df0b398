// `restore-all`: a whole application in one action, most important components first. All is decided and confirmed before
// anything is touched.
import { AppError, isAppError } from '../../base/errors.ts';
import { tellingInterruption } from '../../base/interrupted.ts';
import type { Component } from '../../model/component.ts';
import { decideRestore, type DecidedRestore } from '../../operations/restore/restore.ts';
import type { PointParts } from '../../operations/restore/recovery-reader.ts';
import { chooseComponents, requireConfiguration } from '../component-choice.ts';
import { defineCommand } from '../command.ts';
import { requireConsent } from '../confirmation.ts';
import type { CommandContext } from '../context.ts';
import { failureOf, type Failure } from '../failure.ts';
import { listArgument, switchOption, textOption } from '../option.ts';
import { PointSearch, unreadLines, type FoundPoint, type UnreadRepository } from '../point-search.ts';
import { noLock, openPoints, sharedLock } from '../recovery-point.ts';
import { snapshotWords } from '../snapshot-argument.ts';
import { elapsedWords, shortId, wrap, type Style } from '../style.ts';
import {
  dataOf,
  decisionLines,
  noteWarnings,
  plain,
  reportExitCode,
  reportLines,
  restoredLines,
  type RestoreData,
  type RestorePreview,
} from '../restore-report.ts';

export interface RestoreOutcome extends RestoreData {
  /** Why it did not come back. */
  readonly error?: Omit<Failure, 'stack'>;
}

export interface RestoreAllData {
  readonly restores: readonly RestoreOutcome[];
}

interface Work {
  readonly preview: RestorePreview;
  readonly decision: DecidedRestore;
}

export const restoreAllCommand = defineCommand({
  summary: 'Bring the whole application back',
  details:
    'Restores all components of lifeboat.yaml, or those named, to where they came from: tier P0 first. If one of them cannot be restored, nothing is touched. What fails later does not hold up the rest; the exit code then tells.',
  examples: [
    'lifeboat restore-all --dry-run',
    'lifeboat restore-all --yes',
    'lifeboat restore-all --from before:2026-11-20T08:00 --repository offsite',
  ],
  arguments: { names: listArgument('[component...]', 'components of lifeboat.yaml; all if absent') },
  options: {
    from: textOption('--from <snapshot>', `which recovery point of each component: ${snapshotWords} (default: latest)`),
    isDelta: switchOption('--delta', 'rewrite only the blocks that differ inside files that exist'),
    isDryRun: switchOption('--dry-run', 'show what would be done, and do nothing'),
    isConfirmed: switchOption('--yes', 'replace what exists without asking'),
  },
  isLong: true,
  async run(context, input): Promise<RestoreAllData> {
    const { application } = await requireConfiguration(context);
    const components = byTier(chooseComponents(application, input.names));
    await using search = new PointSearch(context, input.isDryRun ? 'read' : 'write');
    const found: FoundPoint[] = [];
    for (const { name } of components) {
      found.push(await search.find({ component: name, from: input.from ?? 'latest' }));
    }
    await using open = await openAll(found, context, input.isDryRun);
    const { signal } = open;
    const parts = { components, found, open, unread: search.unread, isDelta: input.isDelta };
    const works = await decideAll(parts, { ...context, signal });
    if (input.isDryRun) return { restores: works.map(({ preview }) => withoutReport(preview)) };
    requireAllPossible(works);
    await confirm(works, context, input.isConfirmed);
    const restores: RestoreOutcome[] = [];
    for (const work of works) restores.push(await perform(work, restores, { ...context, signal }));
    return { restores };
  },
  render: ({ restores }, style) =>
    [
      ...restores.map((outcome) => renderOutcome(outcome, style)),
      ...unreadLines(restores[0]?.unread ?? [], style),
    ].join('\n'),
  exitCode({ restores }) {
    const failed = restores.find(({ error }) => error !== undefined)?.error;
    if (failed !== undefined) return failed.exitCode;
    if (restores.some(({ report, findings }) => report === undefined && obstacle(findings) !== undefined)) return 1;
    const codes = restores.map(({ report }) => (report === undefined ? 0 : reportExitCode(report)));
    return Math.max(0, ...codes, ...restores.map(({ unread }) => (unread.length > 0 ? 3 : 0)));
  },
});

/** In each tier in the order of the configuration. */
function byTier(components: readonly Component[]): readonly Component[] {
  return components.toSorted((left, right) => left.tier.localeCompare(right.tier, 'en'));
}

interface OpenFound extends AsyncDisposable {
  readonly points: ReadonlyMap<FoundPoint, PointParts>;
  /** Aborts when one of the locks is lost. */
  readonly signal: AbortSignal;
}

/** Each repository that holds some of them with one lock, one index and one pool. */
async function openAll(found: readonly FoundPoint[], context: CommandContext, isDryRun: boolean): Promise<OpenFound> {
  await using stack = new AsyncDisposableStack();
  const points = new Map<FoundPoint, PointParts>();
  const signals = [context.signal];
  for (const [{ repository }, own] of Map.groupBy(found, ({ opened }) => opened)) {
    const lock = stack.use(isDryRun ? noLock() : await sharedLock(repository, context));
    signals.push(lock.signal);
    const ids = own.map(({ snapshot }) => snapshot.id);
    const open = stack.use(await openPoints(repository, ids, AbortSignal.any(signals)));
    for (const [at, point] of open.points.entries()) {
      const one = own[at];
      if (one !== undefined) points.set(one, point);
    }
  }
  const held = stack.move();
  return { points, signal: AbortSignal.any(signals), [Symbol.asyncDispose]: () => held.disposeAsync() };
}

interface Parts {
  readonly components: readonly Component[];
  /** In the order of the components. */
  readonly found: readonly FoundPoint[];
  readonly open: OpenFound;
  readonly unread: readonly UnreadRepository[];
  readonly isDelta: boolean;
}

async function decideAll(
  { components, found, open, unread, isDelta }: Parts,
  context: CommandContext,
): Promise<Work[]> {
  const works: Work[] = [];
  for (const [at, component] of components.entries()) {
    const one = found[at];
    const point = one && open.points.get(one);
    if (one === undefined || point === undefined) continue;
    const source = await context.sourceOf(component);
    const decision = await decideRestore({ ...point, source, include: [], exclude: [], isDelta }, context.signal);
    works.push({ decision, preview: dataOf(one, decision, unread) });
  }
  return works;
}

const obstacle = (findings: RestorePreview['findings']) => findings.find(({ outcome }) => outcome === 'failed');

/** Half an application from another day is worse than a question. */
function requireAllPossible(works: readonly Work[]): void {
  for (const { preview } of works) {
    const failed = obstacle(preview.findings);
    if (failed === undefined) continue;
    const name = preview.snapshot.component ?? preview.target;
    throw new AppError('TARGET_UNSAFE', `nothing was restored, because ${name} can't be: ${failed.message}`, {
      hint: `${failed.hint ?? 'Look at it with --dry-run.'} Or name the other components to restore these alone.`,
    });
  }
}

async function confirm(works: readonly Work[], context: CommandContext, isConfirmed: boolean): Promise<void> {
  const replaced = works.flatMap(({ decision }) => decision.replaces ?? []);
  const isAsking = replaced.length > 0 && !isConfirmed;
  if (!isAsking) for (const { preview } of works) noteWarnings(preview.findings, context);
  if (replaced.length === 0) return;
  if (isAsking) {
    const style = plain();
    context.progress.note(works.flatMap(({ preview }) => decisionLines(preview, style)).join('\n'));
  }
  await requireConsent(context, `replace ${replaced.join('; ')}`, isConfirmed);
}

async function perform(
  { decision, preview }: Work,
  before: readonly RestoreOutcome[],
  context: CommandContext,
): Promise<RestoreOutcome> {
  const startMs = context.clock.now();
  try {
    const report = await decision.execute(({ step, bytes: bytesDone }) =>
      context.progress.update({ work: step, bytesDone, bytesTotal: decision.totalBytes }),
    );
    return { ...preview, report, elapsedMs: context.clock.now() - startMs };
  } catch (error) {
    const interrupted = tellingInterruption(error, context.signal);
    if (interrupted !== undefined) throw amongOthers(interrupted, { preview, before });
    context.signal.throwIfAborted();
    if (!isAppError(error)) throw error;
    const { code, message, hint, exitCode } = failureOf(error);
    return { ...withoutReport(preview, context.clock.now() - startMs), error: { code, message, hint, exitCode } };
  }
}

/** Of an application that is restored half, which half. */
function amongOthers(
  interrupted: AppError,
  { preview, before }: { readonly preview: RestorePreview; readonly before: readonly RestoreOutcome[] },
): AppError {
  const nameOf = ({ snapshot, target }: RestorePreview): string => snapshot.component ?? target;
  const restored = before.filter(({ report }) => report !== undefined).map(nameOf);
  const words = restored.length === 0 ? 'nothing came back before it' : `${restored.join(', ')} came back before it`;
  return new AppError('INTERRUPTED', `${interrupted.message}; this was ${nameOf(preview)}, and ${words}`, {
    hint: interrupted.hint,
    cause: interrupted.cause,
  });
}

function withoutReport(preview: RestorePreview, elapsedMs = 0): RestoreOutcome {
  return { ...preview, report: undefined, elapsedMs };
}

function renderOutcome(outcome: RestoreOutcome, style: Style): string {
  const { error, report, snapshot, target, elapsedMs } = outcome;
  if (error !== undefined) {
    const lines = [`${style.paint('red', 'failed')} ${target}: ${error.message}`, `hint: ${error.hint}`];
    return lines.flatMap((line) => wrap(line, style.widthColumns)).join('\n');
  }
  if (report === undefined)
    return [...decisionLines({ ...outcome, unread: [] }, style), 'nothing was done: --dry-run'].join('\n');
  const title = `restored ${snapshot.component ?? ''} snapshot ${shortId(snapshot.id)} to ${target} in ${elapsedWords(elapsedMs)}`;
  return [...restoredLines(title, report, style), ...reportLines(report, style)].join('\n');
}
