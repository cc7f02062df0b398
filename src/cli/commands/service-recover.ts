// `service recover`: a server on an empty machine out of a repository and its password: configuration, history, tokens, users, audit log.
import { basename } from 'node:path';
import { count } from '../../base/count.ts';
import { AppError } from '../../base/errors.ts';
import { recoveryReader } from '../../operations/restore/recovery-reader.ts';
import { readStateFile } from '../../service/state/read-state.ts';
import type { RecoveryReader } from '../../sources/source.ts';
import { machineActor } from '../access-log.ts';
import { defineCommand } from '../command.ts';
import type { CommandContext } from '../context.ts';
import { requireConsent } from '../confirmation.ts';
import { optionalArgument, switchOption, textOption } from '../option.ts';
import { openPoint, sharedLock } from '../recovery-point.ts';
import { chooseOne } from '../repository-choice.ts';
import {
  chooseState,
  decideRecovery,
  recoverService,
  refuseAlive,
  replacedBy,
  statesIn,
  type RecoveryDecision,
  type RecoveryOutcome,
} from '../service-recovery.ts';
import { shortId, shortTime, wrap, type Style } from '../style.ts';

export interface ServiceRecoverData {
  readonly isDryRun: boolean;
  readonly decision: RecoveryDecision;
  readonly outcome: RecoveryOutcome | undefined;
  /** What is not right on this machine yet: variables that are not set, files that are not there. */
  readonly missing: readonly string[];
}

export const serviceRecoverCommand = defineCommand({
  summary: 'Make the server anew on this machine, out of a repository',
  details:
    "For an empty machine with nothing but the address of a repository, the credentials of its store and a password (or a recovery kit: 'lifeboat repository keys add --kit'). Writes lifeboat.yaml and the state: history, tokens, users, audit log. Runs that were not at their end are ended, sessions are gone, schedules go on from now. Refuses while the old server lives. What lies here already is set aside after confirmation, not removed.",
  examples: [
    'lifeboat service recover --repository s3://bucket/shop --dry-run',
    'lifeboat service recover -r s3://bucket/shop --password-file ./password',
    'lifeboat service recover before:2026-11-27 -r /mnt/backups --to /etc/lifeboat',
  ],
  arguments: { from: optionalArgument('[snapshot]', 'latest (default), before:<time>, or an id') },
  options: {
    folder: textOption('--to <folder>', 'where lifeboat.yaml is to lie (default: this folder)'),
    application: textOption('--application <name>', 'whose server it was, where the repository holds several'),
    force: textOption(
      '--force <why>',
      'although the old server gave a sign lately; why is kept in the audit log. Two that act at once harm each other',
    ),
    isDryRun: switchOption('--dry-run', 'show what would be done and what is missing here, and do nothing'),
    isConfirmed: switchOption('--yes', 'replace what lies here without asking'),
  },
  async run(
    context,
    { from = 'latest', folder = '.', application, force, isDryRun, isConfirmed },
  ): Promise<ServiceRecoverData> {
    const { signal } = context;
    if (force?.trim() === '') {
      throw new AppError('USAGE', '--force says no reason', { hint: 'Give one: --force "its disk burnt".' });
    }
    await using opened = await context.openRepository(await chooseOne(context, 'read'), isDryRun ? 'read' : 'write');
    await using lock = isDryRun ? undefined : await sharedLock(opened.repository, context);
    const { id } = chooseState(await statesIn(opened, context), { from, application });
    await using point = await openPoint(opened.repository, id, signal);
    lock?.signal.throwIfAborted();
    const reader = recoveryReader(point);
    const decision = await decideRecovery(context, opened, { reader, snapshot: id, folder });
    if (isDryRun) {
      const texts = await textsOf(reader, decision, signal);
      return { isDryRun, decision, outcome: undefined, missing: await missingFor(context, decision, texts) };
    }
    refuseAlive(decision, force);
    const replaced = replacedBy(decision);
    if (replaced !== undefined)
      await requireConsent(context, `set ${replaced} aside and put others in place`, isConfirmed);
    const outcome = await recoverService(context, opened, { decision, reader, actor: machineActor(), force });
    return { isDryRun, decision, outcome, missing: await missingFor(context, decision) };
  },
  render: renderRecovery,
  exitCode: ({ missing }) => (missing.length === 0 ? 0 : 3),
});

/** Of all its files; `texts` are those that are not in place yet. */
async function missingFor(
  context: CommandContext,
  { files }: RecoveryDecision,
  texts?: ReadonlyMap<string, string>,
): Promise<string[]> {
  const own = files.filter(({ isTemplate }) => !isTemplate);
  const missing = await Promise.all(own.map(({ to }) => context.problemsOfConfiguration(to, texts)));
  return [...new Set(missing.flat())];
}

/** As they would lie here. */
async function textsOf(
  reader: RecoveryReader,
  { files }: RecoveryDecision,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, string>> {
  const texts = new Map<string, string>();
  for (const { from, to } of files) texts.set(to, (await readStateFile(reader, from, signal)).toString('utf8'));
  return texts;
}

function serverCommand({ files }: RecoveryDecision): string {
  const own = files.filter(({ isTemplate }) => !isTemplate).map(({ to }) => to);
  const isUsual = own.length <= 1 && own.every((path) => basename(path) === 'lifeboat.yaml');
  return ['lifeboat server', ...(isUsual ? [] : own)].join(' ');
}

function lackingLines(
  { decision, missing }: Pick<ServiceRecoverData, 'decision' | 'missing'>,
  style: Style,
): readonly string[] {
  const lines = missing.map((problem) => `${style.paint('yellow', 'missing')}: ${problem}`);
  if (decision.manifest.configurations.length > 0) return lines;
  return [...lines, 'its configuration came from variables: set the same ones here'];
}

function renderRecovery({ isDryRun, decision, outcome, missing }: ServiceRecoverData, style: Style): string {
  const { manifest, snapshot, files, catalog, oldServer } = decision;
  const { rows, configurations, takenAtMs, host } = manifest;
  const names = configurations.map(({ application }) => application).join(', ');
  const took = shortTime(new Date(takenAtMs).toISOString(), style);
  const contents = [
    count(rows['run'] ?? 0, 'run'),
    count(rows['userAccount'] ?? 0, 'user'),
    count(rows['apiToken'] ?? 0, 'token'),
    count(rows['auditEntry'] ?? 0, 'audit entry', 'audit entries'),
  ].join(', ');
  const verb = isDryRun ? 'would recover' : style.paint('green', 'recovered');
  const would = isDryRun ? 'would write' : 'wrote';
  const lines = [
    `${verb} the server of ${names === '' ? host : names} from snapshot ${shortId(snapshot)}, taken ${took} on ${host}: ${contents}`,
    ...files.map(({ to, there }) => (there === 'same' ? `${to} says the same already` : `${would} ${to}`)),
    `${would} ${catalog.place}`,
    ...(oldServer.words === undefined ? [] : [`the old server: ${oldServer.words}`]),
  ];
  if (outcome !== undefined) {
    if (outcome.endedRuns > 0) lines.push(`${count(outcome.endedRuns, 'run')} that had not come to an end: ended now`);
    lines.push(...outcome.setAside.map((place) => `what was there before lies in ${place}`));
    lines.push(...lackingLines({ decision, missing }, style));
    lines.push(`go on with: ${serverCommand(decision)}`);
  } else {
    const replaced = replacedBy(decision);
    if (oldServer.seemsAlive) lines.push('it seems to live: nothing would be done without --force');
    if (replaced !== undefined) lines.push(`would set aside ${replaced}, after confirmation`);
    lines.push(...lackingLines({ decision, missing }, style));
    lines.push('nothing was done: --dry-run');
  }
  return lines.flatMap((line) => wrap(line, style.widthColumns)).join('\n');
}
