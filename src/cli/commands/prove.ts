// `prove`: restores recovery points into throw-away sandboxes and compares them with what was backed up. The outcome stays
// in the repository as a sealed note.
import { tmpdir } from 'node:os';
import { count } from '../../base/count.ts';
import type { Proof } from '../../model/proof.ts';
import type { Component } from '../../model/component.ts';
import { measureWords } from '../../model/sentinel.ts';
import { readJournals } from '../../operations/journal/reader.ts';
import { prove } from '../../operations/prove/prove.ts';
import { proveThrough, withThrough } from '../../operations/prove/prove-through.ts';
import { feedFrom } from '../../operations/restore/feed.ts';
import { componentOf, isOf } from '../../operations/restore/select-point.ts';
import { isExplorable, type ExplorableSource } from '../../sources/explore.ts';
import { parseTime } from '../../repository/go-text.ts';
import { systemSleep } from '../../storage/interruption.ts';
import { defineCommand } from '../command.ts';
import { chooseComponents } from '../component-choice.ts';
import type { CommandContext } from '../context.ts';
import { optionalArgument, switchOption, textOption } from '../option.ts';
import { saveProof } from '../proofs.ts';
import type { PointParts } from '../../operations/restore/recovery-reader.ts';
import { PointSearch, unreadLines, type UnreadRepository } from '../point-search.ts';
import { componentLike, configuredComponent, openPoint, sharedLock } from '../recovery-point.ts';
import { snapshotWords } from '../snapshot-argument.ts';
import { bytes, elapsedWords, shortId, wrap, type Paint, type Style } from '../style.ts';
import { table } from '../table.ts';

interface RecordedProof extends Proof {
  /** Why it could not be recorded in the repository. */
  readonly unrecorded?: string | undefined;
}

export interface ProveData {
  readonly proofs: readonly RecordedProof[];
  /** Those that could not be looked at. */
  readonly unread: readonly UnreadRepository[];
}

export const proveCommand = defineCommand({
  summary: 'Restore into a throw-away sandbox and compare, as proof that backups come back',
  details:
    'Databases are restored into a temporary server of the matching version and compared by the fingerprint taken at backup time, files into a temporary folder and compared one by one. One row lost, changed or added fails the proof. Where a physical backup has an older one before it and a journal without a gap in between, the same rows must come back through the journal as well: that takes as long again. The newest of all repositories is taken, or that of --repository; one that cannot be read is left out with a warning. Exit code 20: failed, 21: inconclusive, 3: a repository or a snapshot could not be read, or a proof could not be recorded.',
  examples: ['lifeboat prove', 'lifeboat prove database', 'lifeboat prove --from 46c536f7 --repository /srv/repo'],
  arguments: {
    component: optionalArgument(
      '[component]',
      'component; all of lifeboat.yaml, or of the repository without one, if absent',
    ),
  },
  options: {
    from: textOption('--from <snapshot>', `which recovery point: ${snapshotWords} (default: latest)`),
    workFolder: textOption(
      '--work-folder <path>',
      "where files are restored to (default: the machine's temporary folder)",
    ),
    leavesJournal: switchOption('--no-journal', 'prove the backup alone, not the way through the journal before it'),
  },
  isLong: true,
  async run(context, input): Promise<ProveData> {
    await using search = new PointSearch(context, 'write');
    const proofs: RecordedProof[] = [];
    for (const wish of await wishesOf(search, input, context)) {
      proofs.push(await proveOne(search, { ...input, ...wish }, context));
    }
    return { proofs, unread: search.unread };
  },
  render: ({ proofs, unread }, style) =>
    [...proofs.map((proof) => renderProof(proof, style)), ...unreadLines(unread, style)].join('\n'),
  exitCode({ proofs, unread }) {
    if (proofs.some(({ outcome }) => outcome === 'failed')) return 20;
    if (proofs.some(({ outcome }) => outcome === 'inconclusive')) return 21;
    return unread.length > 0 || proofs.some(({ unrecorded }) => unrecorded !== undefined) ? 3 : 0;
  },
});

interface Wish {
  /** Undefined for whichever component the snapshot belongs to. */
  readonly component: string | undefined;
  readonly from: string | undefined;
}

async function wishesOf(
  search: PointSearch,
  { component, from }: Wish,
  context: CommandContext,
): Promise<readonly Wish[]> {
  const configuration = await context.findConfiguration();
  if (component !== undefined) {
    if (configuration !== undefined) chooseComponents(configuration.application, [component]);
    return [{ component, from }];
  }
  if (from !== undefined) return [{ component, from }];
  const all = (name: string): Wish => ({ component: name, from });
  if (configuration !== undefined) return configuration.application.components.map(({ name }) => all(name));
  const snapshots = (await search.all()).flatMap((read) => read.snapshots);
  const names = new Set(snapshots.flatMap((snapshot) => componentOf(snapshot) ?? []));
  // Those of other programs belong to none.
  const others = snapshots.filter((snapshot) => componentOf(snapshot) === undefined);
  const newest = others.toSorted((left, right) => (parseTime(left.time) < parseTime(right.time) ? -1 : 1)).at(-1);
  const wishes = [...names].toSorted().map(all);
  if (newest !== undefined) wishes.push({ component: undefined, from: newest.id });
  return wishes.length > 0 ? wishes : [{ component, from }];
}

async function proveOne(
  search: PointSearch,
  wish: {
    readonly component: string | undefined;
    readonly from: string | undefined;
    readonly workFolder: string | undefined;
    readonly leavesJournal: boolean;
  },
  context: CommandContext,
): Promise<RecordedProof> {
  const { clock, programVersion, progress } = context;
  const { opened, snapshot } = await search.find({ from: wish.from ?? 'latest', component: wish.component });
  const { repository } = opened;
  await using lock = await sharedLock(repository, context);
  const signal = AbortSignal.any([context.signal, lock.signal]);
  await using point = await openPoint(repository, snapshot.id, signal);
  const component: Component =
    (await configuredComponent(point.snapshot, context)) ?? (await componentLike(point, signal));
  const name = componentOf(point.snapshot) ?? component.name;
  progress.update({ work: `prove ${name}`, detail: `restoring snapshot ${shortId(point.snapshot.id)} into a sandbox` });
  const source = await context.sourceOf(component);
  const alone = await prove(
    {
      ...point,
      component: name,
      source,
      checks: component.checks,
      clock,
      workFolder: wish.workFolder ?? tmpdir(),
      program: `lifeboat ${programVersion}`,
    },
    signal,
  );
  const proof =
    alone.outcome === 'passed' && !wish.leavesJournal && isExplorable(source)
      ? await alsoThroughJournal(alone, { point, name, source, search, context }, signal)
      : alone;
  return { ...proof, unrecorded: await saveProof(repository, proof, signal) };
}

interface ThroughParts {
  readonly point: PointParts;
  readonly name: string;
  readonly source: ExplorableSource;
  readonly search: PointSearch;
  readonly context: CommandContext;
}

async function alsoThroughJournal(
  alone: Proof,
  { point, name, source, search, context }: ThroughParts,
  signal: AbortSignal,
): Promise<Proof> {
  const { clock, random, progress } = context;
  const { indexed, pool, snapshot } = point;
  const { repository } = indexed;
  const read = (await search.all()).find(({ opened }) => opened.repository === repository);
  const own = { component: name, host: snapshot.hostname, from: 'latest' };
  const snapshots = (read?.snapshots ?? []).filter((one) => isOf(one, own));
  let work = `prove ${name}`;
  let bytesDone = 0;
  const through = await proveThrough(
    {
      snapshot,
      source,
      repository: { name, indexed, pool, snapshots, journal: readJournals(repository) },
      openFeed: feedFrom({ clock, random, sleep: systemSleep }),
      clock,
      onBase({ id }) {
        progress.note(
          `${name} came back; now the same through the journal, from base ${shortId(id)} (--no-journal leaves it out)`,
        );
        work = `prove ${name} through the journal`;
      },
      onBytes(more) {
        bytesDone += more;
        progress.update({ work, bytesDone });
      },
    },
    signal,
  );
  return withThrough(alone, through);
}

const paints: Readonly<Record<Proof['outcome'], Paint>> = { passed: 'green', failed: 'red', inconclusive: 'yellow' };
const differencesShownMax = 20;

function renderProof(proof: RecordedProof, style: Style): string {
  const { outcome, component, snapshot, message, sandbox, durationSeconds, restoredBytes, differences, checks } = proof;
  const lines = [
    `${style.paint(paints[outcome], outcome)}  ${component}, snapshot ${shortId(snapshot)}, in ${elapsedWords(durationSeconds * 1000)}`,
    ...wrap(message, style.widthColumns - 2).map((line) => `  ${line}`),
  ];
  if (sandbox !== '')
    lines.push(
      ...wrap(`restored ${bytes(restoredBytes)} into ${sandbox}`, style.widthColumns - 2).map((line) => `  ${line}`),
    );
  if (proof.sentinel !== undefined)
    lines.push(
      ...wrap(measureWords(proof.sentinel, "the backup's instant"), style.widthColumns - 2).map((line) => `  ${line}`),
    );
  for (const { check, outcome: ofCheck, value } of checks) {
    lines.push(
      ...wrap(`${style.paint(paints[ofCheck], ofCheck)}  ${check}: ${value}`, style.widthColumns - 2).map(
        (line) => `  ${line}`,
      ),
    );
  }
  if (differences.length > 0) {
    const columns = [
      { title: 'Difference' },
      { title: 'Item', shrinksTo: 16 },
      { title: 'Expected', align: 'right' as const },
      { title: 'Found', align: 'right' as const },
    ];
    const rows = differences
      .slice(0, differencesShownMax)
      .map(({ kind, name, rowsExpected, rowsFound }) => [kind, name, String(rowsExpected), String(rowsFound)]);
    lines.push(table(columns, rows, style));
    if (differences.length > differencesShownMax)
      lines.push(`and ${count(differences.length - differencesShownMax, 'more difference')}`);
  }
  if (proof.unrecorded !== undefined)
    lines.push(...wrap(`not recorded in the repository: ${proof.unrecorded}`, style.widthColumns));
  return lines.join('\n');
}
