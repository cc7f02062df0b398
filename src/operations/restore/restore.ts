// One way to restore, whatever the source: a decision that says what would happen, and an execution that does it.
import { resolve } from 'node:path';
import { formatByteSize } from '../../base/byte-size.ts';
import { count } from '../../base/count.ts';
import { AppError } from '../../base/errors.ts';
import { interruptedWith, type Leftover } from '../../base/interrupted.ts';
import type { Finding } from '../../model/finding.ts';
import type { StoredSnapshot } from '../../repository/snapshot.ts';
import type { MovedPlace, RestoreDecision, ServiceRestore, Source } from '../../sources/source.ts';
import type { RestoreProblem } from './file-window.ts';
import { recoveryReader, type PointParts } from './recovery-reader.ts';
import { sourceFinding } from './target-safety.ts';
import { decideTreeRestore, placeWords, type TreeRestoreDecision, type TreeRestoreRequest } from './tree-decision.ts';
import { executeTreeRestore, type TreeRestoreResult } from './tree-restore.ts';
import { unfinishedWords } from './unfinished-restores.ts';

export interface RestoreRequest extends PointParts {
  /** Absent where no configuration names it: then the recovery point is restored as files. */
  readonly source?: Source | undefined;
  /** Folder, URL or name; where the data came from if absent. */
  readonly to?: string | undefined;
  /** Folder of the snapshot that becomes the target folder itself. */
  readonly base?: string | undefined;
  readonly include: readonly string[];
  readonly exclude: readonly string[];
  readonly isDelta: boolean;
  /** Of data directories: where tablespaces go, and whom the files belong to. */
  readonly places?: readonly MovedPlace[] | undefined;
  readonly owner?: string | undefined;
}

export interface DecidedRestore {
  /** For people. */
  readonly target: string;
  /** Existing data that makes way, for people: then the restore needs confirming. */
  readonly replaces?: string | undefined;
  readonly steps: readonly string[];
  readonly findings: readonly Finding[];
  /** Files and bytes to restore, where known beforehand. */
  readonly totalBytes?: number | undefined;
  /** Rejects if a finding failed. */
  execute(onProgress: (progress: RestoreProgressEvent) => void): Promise<RestoreReport>;
}

export interface RestoreProgressEvent {
  readonly step: string;
  readonly bytes: number;
}

export interface RestoreReport {
  readonly restored: readonly string[];
  readonly kept?: string | undefined;
  readonly sentinelMs?: number | undefined;
  readonly bytes: number;
  readonly problems: readonly RestoreProblem[];
}

/** A target that begins like a path is a folder: most sources' files go there as they are. */
export const looksLikeFolder = (target: string): boolean => /^\.{0,2}\/|^\.{1,2}$/.test(target);

/** Decides; touches nothing. */
export async function decideRestore(request: RestoreRequest, signal: AbortSignal): Promise<DecidedRestore> {
  const { source, to, places = [], owner } = request;
  if (source?.restore.kind === 'service') {
    const service = source.restore;
    if (to === undefined || !looksLikeFolder(to)) return decideService(request, { source: service, signal });
    if (await takesFolders(service, request, signal))
      return decideService({ ...request, to: resolve(to) }, { source: service, signal });
  }
  if (places.length > 0 || owner !== undefined) {
    throw new AppError('USAGE', '--owner and --tablespace go with data directories only', { hint: 'Leave them out.' });
  }
  if (to === undefined && source?.restore.kind !== 'tree' && request.snapshot.lifeboat?.source !== 'files') {
    throw new AppError(
      'USAGE',
      `snapshot ${request.snapshot.id.slice(0, 8)} can't go back to where it came from without its component`,
      {
        hint: 'Name a folder with --to, or run this where lifeboat.yaml describes the component.',
      },
    );
  }
  return decideTree(request, signal);
}

async function takesFolders(service: ServiceRestore, request: RestoreRequest, signal: AbortSignal): Promise<boolean> {
  const { lifeboat } = request.snapshot;
  const hasJournal = lifeboat && lifeboat.journal !== undefined;
  const facts = () => recoveryReader(request).facts(signal);
  return (await service.takesFolders?.({ hasJournal, facts })) ?? false;
}

async function decideTree(request: RestoreRequest, signal: AbortSignal): Promise<DecidedRestore> {
  const { indexed, pool, snapshot, to = '/', base, include, exclude, isDelta } = request;
  const tree: TreeRestoreRequest = {
    snapshot,
    target: to,
    include,
    exclude,
    isDelta,
    ...(base !== undefined && { base }),
  };
  const decided = await decideTreeRestore(indexed, tree, signal);
  const unsafe = isOfFiles(snapshot) ? sourceFinding(snapshot.paths, { target: decided.target, base }) : undefined;
  const decision = unsafe === undefined ? decided : { ...decided, findings: [...decided.findings, unsafe] };
  const { files, folders, others, totalBytes, target, findings, replaces } = decision;
  const step = `write ${count(files + others, 'file')} in ${count(folders, 'folder')} (${formatByteSize(totalBytes)}) ${placeWords(target, snapshot.paths)}`;
  return {
    target,
    replaces,
    steps: [step],
    findings,
    totalBytes,
    async execute(onProgress) {
      const onTreeProgress = ({ bytes }: { bytes: number }): void => onProgress({ step, bytes });
      const result = await executeTreeRestore(indexed, decision, { pool, signal, onProgress: onTreeProgress }).catch(
        (error: unknown) => {
          throw interruptedWith(signal, leftOfTree(target)) ?? error;
        },
      );
      return reportOf(result, decision);
    },
  };
}

/** What else is backed up has paths of its own making. */
function isOfFiles({ lifeboat }: StoredSnapshot): boolean {
  return lifeboat === undefined || lifeboat.source === 'files' || lifeboat.source === 'config';
}

function leftOfTree(target: string): Leftover {
  return {
    left: `files below ${target} that were complete stay`,
    hint: 'Run the command again: it writes only what is not there yet.',
  };
}

function reportOf(
  result: TreeRestoreResult,
  { target, unfinished, request }: Pick<TreeRestoreDecision, 'target' | 'unfinished' | 'request'>,
): RestoreReport {
  const { files, bytes, writtenBytes, problems, ownersRefused } = result;
  const restored = [
    `${count(files, 'file')} (${formatByteSize(bytes)}) ${placeWords(target, request.snapshot.paths)}, ${formatByteSize(writtenBytes)} of them written`,
    ...unfinished
      .filter(({ isRepeated }) => isRepeated)
      .map(({ restore }) => `${unfinishedWords(restore)}: it is finished now`),
  ];
  const left = unfinished.filter(({ isRepeated }) => !isRepeated);
  const incomplete = left.map(({ restore, mark }) => ({
    path: mark,
    message: `${unfinishedWords(restore)}: files that only it brings back may be incomplete`,
  }));
  const owners = {
    path: target,
    message: `the owner of ${count(ownersRefused, 'entry', 'entries')} was not restored: only root may give files away`,
  };
  return { restored, bytes, problems: [...problems, ...incomplete, ...(ownersRefused > 0 ? [owners] : [])] };
}

async function decideService(
  request: RestoreRequest,
  { source, signal }: { source: Extract<Source['restore'], { kind: 'service' }>; signal: AbortSignal },
): Promise<DecidedRestore> {
  if (request.exclude.length > 0) {
    throw new AppError('USAGE', '--exclude does not work for this component', {
      hint: 'Name what to restore with --include.',
    });
  }
  const { to, include, places, owner } = request;
  const decision = await source.decide(recoveryReader(request), { to, include, places, owner }, signal);
  return decidedBySource(decision, signal);
}

/** A source's decision, executed as all others are. */
export function decidedBySource(decision: RestoreDecision, signal: AbortSignal): DecidedRestore {
  return {
    ...decision,
    async execute(onProgress) {
      const failed = decision.findings.find(({ outcome }) => outcome === 'failed');
      if (failed !== undefined)
        throw new AppError('TARGET_UNSAFE', failed.message, { hint: failed.hint ?? 'Choose another target.' });
      let bytes = 0;
      let step = decision.steps[0] ?? '';
      const outcome = await decision.execute(
        {
          step(index) {
            step = decision.steps[index] ?? step;
            onProgress({ step, bytes });
          },
          bytes(more) {
            bytes += more;
            onProgress({ step, bytes });
          },
        },
        signal,
      );
      return { ...outcome, bytes, problems: [] };
    },
  };
}
