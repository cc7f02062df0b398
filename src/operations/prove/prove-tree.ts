// The proof of a tree of files: restore it into a fresh folder, then read everything back from the disk and compare it.
import { lstatSync } from 'node:fs';
import { join } from 'node:path';
import { AppError } from '../../base/errors.ts';
import type { ContentCheck } from '../../model/content-check.ts';
import { decideTreeRestore } from '../restore/tree-decision.ts';
import { executeTreeRestore } from '../restore/tree-restore.ts';
import { compareTree, type TreeDifference } from './compare-tree.ts';
import { runCheck, type CheckResult, type Evidence, type ProveRequest } from './evidence.ts';

/** `folder` is empty, and the caller's to remove. */
export async function proveTree(request: ProveRequest, folder: string, signal: AbortSignal): Promise<Evidence> {
  const { indexed, pool, snapshot } = request;
  const decision = await decideTreeRestore(indexed, { snapshot, target: folder }, signal);
  const restored = await executeTreeRestore(indexed, decision, { pool, signal, isTemporary: true });
  const { bytes: restoredBytes } = restored;
  const { compared, content, differences: found, skipped } = await compareTree(request, folder, signal);
  const causes = new Map(restored.problems.map(({ path, message }) => [path, message]));
  const differences = found.map((one) => withCause(one, causes.get(`${folder}${one.name}`)));
  const checks: CheckResult[] = [];
  for (const check of request.checks)
    checks.push(await runCheck(check, async () => sizeOf(check, { folder, paths: snapshot.paths })));
  return {
    sandbox: `folder ${folder}`,
    restoredBytes,
    compared,
    rows: 0,
    content,
    differences,
    checks,
    ...(skipped > 0 && { incomparable: `${skipped} device nodes were not looked at: only root can make them` }),
  };
}

/** That something is missing helps nobody; that its pack is damaged does. */
function withCause(difference: TreeDifference, cause: string | undefined): TreeDifference {
  if (difference.kind !== 'missing' || cause === undefined) return difference;
  return { ...difference, detail: `missing: ${cause}` };
}

/** Bytes of the file a check names; undefined if it is not there. */
function sizeOf(
  check: ContentCheck,
  where: { readonly folder: string; readonly paths: readonly string[] },
): number | undefined {
  if (!('file' in check))
    throw new AppError('USAGE', 'this component has files, no tables or keys', {
      hint: 'Write the check as file: path.',
    });
  const bases = check.file.startsWith('/') ? [''] : [...where.paths, ''];
  for (const base of bases) {
    // Joined to the root first, so that no `..` leaves the folder.
    const found = lstatSync(join(where.folder, join('/', base, check.file)), { throwIfNoEntry: false });
    if (found !== undefined) return found.size;
  }
  return undefined;
}
