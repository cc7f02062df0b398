// `storage test`: tries what somebody with the credentials in use could do to the objects of a repository.
import { count } from '../../base/count.ts';
import { isoTime } from '../../base/iso-time.ts';
import type { FindingOutcome } from '../../model/finding.ts';
import { judgeTampering, promiseOf, type TamperPromise, type TamperVerdict } from '../../model/tamper-verdict.ts';
import { requireRepository } from '../../repository/open-repository.ts';
import type { ObjectLock, TamperReport, TamperTrial } from '../../storage/tamper.ts';
import { defineCommand } from '../command.ts';
import { chooseOne } from '../repository-choice.ts';
import { findingLines, wrap, type Style } from '../style.ts';

export interface StorageTestData extends TamperVerdict, Pick<TamperReport, 'trials' | 'left' | 'earlier'> {
  readonly repository: string;
  readonly promised: TamperPromise;
  readonly lock: { readonly state: ObjectLock['state']; readonly mode?: string; readonly until?: string };
}

export const storageTestCommand = defineCommand({
  summary: 'Try to destroy what a repository holds, on an object of its own',
  details:
    "Writes a small object under a name that no file of a repository has, then tries with the credentials in use what somebody who stole them could: overwrite and delete it, destroy its version (also bypassing governance), shorten and remove its lock; and asks whether they could switch versions off or weaken the lock of what comes later, by setting both to what they are. Run it with the credentials that backups have. Exit code 20: lifeboat.yaml promises 'lock' or that the repository survives ransomware, and something was allowed; 21: promised, and something could not be found out; 3: nothing is promised, and something was allowed. What is locked stays until its lock ends, and is named; the next test removes what earlier ones left, where it may list versions.",
  examples: ['lifeboat storage test -r offsite', 'lifeboat storage test -r offsite --json'],
  arguments: {},
  options: {},
  interrupted: {
    left: 'what it wrote is removed as far as no lock keeps it',
    hint: 'Run it again: an hour later it removes, or names, what is left of this one.',
  },
  async run(context): Promise<StorageTestData> {
    const settings = await chooseOne(context, 'write');
    {
      await using store = await context.openStore(settings);
      await requireRepository(store, context.signal);
    }
    const name = `tamper-test-${Array.from({ length: 16 }, () => Math.floor(context.random() * 16).toString(16)).join('')}`;
    const atMs = context.clock.now();
    context.progress.update({ work: `try to harm ${name}` });
    const { lock, trials, left, earlier } = await context.tamper(settings, name);
    const promised = promiseOf(settings);
    const judged = judgeTampering(promised, { trials, lock, atMs });
    return { repository: settings.name, promised, ...judged, lock: lockData(lock), trials, left, earlier };
  },
  render: renderTest,
  exitCode: ({ verdict }) => exitCodes[verdict],
});

const exitCodes = { holds: 0, exposed: 3, broken: 20, inconclusive: 21 } as const;

function lockData(lock: ObjectLock): StorageTestData['lock'] {
  if (lock.state !== 'locked') return { state: lock.state };
  return { state: lock.state, mode: lock.mode, until: isoTime(lock.untilMs) };
}

function markOf(outcome: TamperTrial['outcome'], isPromised: boolean): FindingOutcome {
  if (outcome === 'allowed') return isPromised ? 'failed' : 'warning';
  return outcome === 'inconclusive' ? 'inconclusive' : 'passed';
}

const verdictWords: Readonly<Record<TamperVerdict['verdict'], string>> = {
  holds: 'nothing that was tried loses data',
  exposed: 'warning: somebody with these credentials can destroy backups; nothing else is promised',
  broken: 'FAILED: what lifeboat.yaml promises does not hold',
  inconclusive: 'unknown: what lifeboat.yaml promises could not be shown',
};

function renderTest(data: StorageTestData, style: Style): string {
  const { repository, lock, trials, left, earlier, verdict, reasons } = data;
  const locked = lock.state === 'locked' ? `${lock.mode ?? ''} until ${lock.until ?? ''}` : lock.state;
  const findings = trials.map(({ trial, outcome, message, hint }) => ({
    aspect: trial,
    outcome: markOf(outcome, verdict !== 'exposed'),
    message: `${outcome}: ${message}`,
    hint,
  }));
  const end = [
    ...reasons,
    ...[...left, ...(earlier?.left ?? [])].map((what) => `left: ${what}`),
    ...(earlier !== undefined && earlier.removed > 0
      ? [`removed: ${count(earlier.removed, 'version')} that earlier tests left`]
      : []),
    ...(earlier === undefined && lock.state === 'locked'
      ? ["what earlier tests left can't be seen: it takes s3:ListBucketVersions"]
      : []),
  ];
  return [
    style.paint('bold', `what can be done to ${repository}`),
    `lock of what is written: ${locked}`,
    ...findingLines(findings, style),
    ...wrap(verdictWords[verdict], style.widthColumns),
    ...end.flatMap((line) => wrap(line, style.widthColumns - 2).map((part) => `  ${part}`)),
  ].join('\n');
}
