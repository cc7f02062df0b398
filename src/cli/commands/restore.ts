// `restore`: brings a recovery point back, beside or in place. Decides first, shows it, asks where data would be replaced.
import { AppError } from '../../base/errors.ts';
import { resolve } from 'node:path';
import { decideRestore, looksLikeFolder, type DecidedRestore } from '../../operations/restore/restore.ts';
import type { PointRequest } from '../../operations/restore/select-point.ts';
import { defineCommand } from '../command.ts';
import { requireConsent } from '../confirmation.ts';
import type { CommandContext } from '../context.ts';
import { listOption, requiredArgument, switchOption, textOption } from '../option.ts';
import { PointSearch, unreadLines } from '../point-search.ts';
import {
  componentLike,
  configuredComponent,
  noLock,
  openPoint,
  sharedLock,
  type OpenPoint,
} from '../recovery-point.ts';
import { snapshotWords } from '../snapshot-argument.ts';
import { placesOf, replayOptions, replayRequestOf } from '../replay-request.ts';
import {
  dataOf,
  decisionLines,
  noteWarnings,
  plain,
  reportExitCode,
  reportLines,
  restoredLines,
  type RestoreData,
} from '../restore-report.ts';
import { restoreToInstant } from '../restore-to-instant.ts';
import { measuredLines } from '../measured-rpo.ts';
import { elapsedWords, shortId } from '../style.ts';

const options = {
  component: textOption('--component <name>', 'the component whose snapshots count, where a snapshot is named'),
  from: textOption('--from <snapshot>', `which recovery point of the component: ${snapshotWords} (default: latest)`),
  to: textOption('--to <target>', 'folder, server URL or database name; where the data came from if absent'),
  include: listOption('--include <path>', 'only these paths, patterns or databases'),
  exclude: listOption('--exclude <path>', 'all but these paths or patterns'),
  base: textOption('--base <folder>', 'folder of the snapshot that becomes the target folder itself'),
  isDelta: switchOption('--delta', 'rewrite only the blocks that differ inside files that exist'),
  isDryRun: switchOption('--dry-run', 'show what would be done, and do nothing'),
  isConfirmed: switchOption('--yes', 'replace what exists without asking'),
  ...replayOptions,
};

export const restoreCommand = defineCommand({
  summary: 'Bring data back',
  details:
    'Names a component, or a snapshot. Looks through all repositories, or that of --repository: for the newest of all that fit, or for the first that has the id; one that cannot be read is left out with a warning (exit code 3). Without --to the data goes back to where it came from: files in place, databases beside the old ones, which are then swapped and kept. What would be replaced must be confirmed. A database whose journal is received goes back to any instant with --at, --lsn, --xid, --restore-point or --at-end, into a folder.',
  examples: [
    'lifeboat restore uploads --to ./restored',
    'lifeboat restore database --from latest-proven --dry-run',
    'lifeboat restore uploads --from before:2026-11-20 --include /srv/uploads/2026',
    'lifeboat restore latest --to ./restored --repository /srv/repo',
    'lifeboat restore before:2026-11-20 --component uploads --to ./restored',
    'lifeboat restore database --at 2026-11-20T10:15:00+01:00 --to /srv/copy',
  ],
  arguments: { what: requiredArgument('<component|snapshot>', `a component, or ${snapshotWords}`) },
  options,
  isLong: true,
  async run(context, given): Promise<RestoreData> {
    const startMs = context.clock.now();
    const { to } = given;
    const isFolder = to !== undefined && looksLikeFolder(to);
    const input = isFolder ? { ...given, to: resolve(context.workingFolder, to) } : given;
    const request = replayRequestOf(input, Temporal.Now.timeZoneId());
    await using search = new PointSearch(context, input.isDryRun ? 'read' : 'write');
    if (request !== undefined) return await restoreToInstant(context, { input, request, search });
    const found = await search.find(await requestOf(input, search, context));
    const { repository } = found.opened;
    await using lock = input.isDryRun ? noLock() : await sharedLock(repository, context);
    const signal = AbortSignal.any([context.signal, lock.signal]);
    await using point = await openPoint(repository, found.snapshot.id, signal);
    const decision = await decide(point, { ...context, signal }, input);
    const data = dataOf(found, decision, search.unread);
    if (input.isDryRun) return { ...data, report: undefined, elapsedMs: context.clock.now() - startMs };
    const isAsking = decision.replaces !== undefined && !input.isConfirmed;
    if (!isAsking) noteWarnings(decision.findings, context);
    if (decision.replaces !== undefined) {
      if (isAsking) context.progress.note(decisionLines(data, plain()).join('\n'));
      // What can't be done is refused below, before anybody is asked.
      const isPossible = decision.findings.every(({ outcome }) => outcome !== 'failed');
      if (isPossible) await requireConsent(context, `replace ${decision.replaces}`, input.isConfirmed);
    }
    const report = await decision.execute(({ step, bytes: bytesDone }) =>
      context.progress.update({ work: step, bytesDone, bytesTotal: decision.totalBytes }),
    );
    return { ...data, report, elapsedMs: context.clock.now() - startMs };
  },
  render(data, style) {
    const { report, elapsedMs } = data;
    if (report === undefined) return [...decisionLines(data, style), 'nothing was done: --dry-run'].join('\n');
    const title = `restored snapshot ${shortId(data.snapshot.id)} to ${data.target} in ${elapsedWords(elapsedMs)}`;
    return [
      ...restoredLines(title, report, style),
      ...reportLines(report, style),
      ...measuredLines(data.measured, style),
      ...unreadLines(data.unread, style),
    ].join('\n');
  },
  exitCode({ report, findings, unread }) {
    if (report === undefined && findings.some(({ outcome }) => outcome === 'failed')) return 1;
    const code = report === undefined ? 0 : reportExitCode(report);
    return code === 0 && unread.length > 0 ? 3 : code;
  },
});

type Input = Parameters<typeof restoreCommand.run>[1];

/** Components of the configuration, else those that the snapshots themselves name, else snapshots. */
async function requestOf(
  { what, from, component }: Pick<Input, 'what' | 'from' | 'component'>,
  search: PointSearch,
  context: CommandContext,
): Promise<PointRequest> {
  if (component !== undefined && from !== undefined) {
    throw new AppError('USAGE', `'${what}' and --from both name a snapshot of ${component}`, {
      hint: `Write 'lifeboat restore ${component} --from <snapshot>'.`,
    });
  }
  if (component !== undefined) return { component, from: what };
  if (from !== undefined) return { component: what, from };
  const components = (await context.findConfiguration())?.application.components ?? [];
  return components.some(({ name }) => name === what) ? { component: what, from: 'latest' } : search.meaningOf(what);
}

async function decide(point: OpenPoint, context: CommandContext, input: Input): Promise<DecidedRestore> {
  const component = await configuredComponent(point.snapshot, context);
  // A guessed server must never be the target: without a configuration the target has to be named.
  const known = component ?? (input.to === undefined ? undefined : await componentLike(point, context.signal));
  const source = known === undefined ? undefined : await context.sourceOf(known);
  const { to, base, include, exclude, isDelta, owner } = input;
  const places = placesOf(input.places);
  return decideRestore({ ...point, source, to, base, include, exclude, isDelta, places, owner }, context.signal);
}
