// The proof of a tree of files: restore it into a fresh folder, then read everything back from the disk and compare it
// with the tree: content by hash, and all metadata a restore can set.
import { lstatSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fsPath } from '../../base/byte-name.ts';
import { AppError, messageOf } from '../../base/errors.ts';
import { readMetadata } from '../../base/file-metadata.ts';
import type { FileMetadata } from '../../base/file-type.ts';
import type { ContentCheck } from '../../model/content-check.ts';
import type { TreeNode } from '../../repository/tree.ts';
import { walkTree } from '../../repository/walk.ts';
import type { Chunk } from '../../repository/worker-protocol.ts';
import { ownFolder } from '../backup/backup.ts';
import { metadataOf } from '../node-metadata.ts';
import { decideTreeRestore } from '../restore/tree-decision.ts';
import { executeTreeRestore } from '../restore/tree-restore.ts';
import { runCheck, type CheckResult, type Evidence, type ProveRequest } from './evidence.ts';

interface Difference {
  readonly name: string;
  readonly kind: 'missing' | 'changed';
  readonly rowsExpected: number;
  readonly rowsFound: number;
  readonly detail: string;
}

export async function proveTree(request: ProveRequest, signal: AbortSignal): Promise<Evidence> {
  const { indexed, pool, snapshot, workFolder } = request;
  const folder = await mkdtemp(join(workFolder, 'lifeboat-prove-'));
  try {
    const decision = await decideTreeRestore(indexed, { snapshot, target: folder }, signal);
    const result = await executeTreeRestore(indexed, decision, { pool, signal });
    const differences: Difference[] = [];
    let compared = 0;
    for await (const { path, node } of walkTree(indexed, snapshot.tree, {
      signal,
      enters: (each) => each !== ownFolder,
    })) {
      if (path === ownFolder || node.type === 'socket') continue;
      compared += 1;
      const detail = await differenceOf(request, { place: `${folder}${path}`, node });
      if (detail !== undefined)
        differences.push({
          name: path,
          kind: detail === 'missing' ? 'missing' : 'changed',
          rowsExpected: 1,
          rowsFound: detail === 'missing' ? 0 : 1,
          detail,
        });
    }
    const checks: CheckResult[] = [];
    for (const check of request.checks)
      checks.push(await runCheck(check, async () => sizeOf(check, { folder, paths: snapshot.paths })));
    return { sandbox: `folder ${folder}`, restoredBytes: result.bytes, compared, rows: compared, differences, checks };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
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
    const found = lstatSync(join(where.folder, base, check.file), { throwIfNoEntry: false });
    if (found !== undefined) return found.size;
  }
  return undefined;
}

/** What differs between an entry on disk and its node, in words; undefined if nothing does. */
async function differenceOf(
  request: ProveRequest,
  { place, node }: { place: string; node: TreeNode },
): Promise<string | undefined> {
  if (lstatSync(fsPath(place), { throwIfNoEntry: false }) === undefined) return 'missing';
  const found = readMetadata(place);
  const field = metadataDifference(found, metadataOf(node));
  if (field !== undefined) return `${field} differs`;
  return node.type === 'file' ? contentDifference(request, { place, node }) : undefined;
}

/** Only root can give files away, and the mode depends on the owner: without root both are left out. */
function metadataDifference(found: FileMetadata, expected: FileMetadata): string | undefined {
  const isRoot = process.geteuid?.() === 0;
  if (found.type !== expected.type) return 'type';
  if (found.sizeBytes !== expected.sizeBytes) return 'size';
  if (found.linkTarget !== expected.linkTarget) return 'link target';
  if (found.mtimeNs !== expected.mtimeNs) return 'modification time';
  if (isRoot && (found.uid !== expected.uid || found.gid !== expected.gid)) return 'owner';
  if (isRoot && found.type !== 'symlink' && found.mode !== expected.mode) return 'mode';
  const attributes = (metadata: FileMetadata): string =>
    metadata.extendedAttributes
      .map(({ name, value }) => `${name}=${value.toString('hex')}`)
      .toSorted()
      .join(' ');
  return attributes(found) === attributes(expected) ? undefined : 'extended attributes';
}

async function contentDifference(
  { indexed, pool }: ProveRequest,
  { place, node }: { place: string; node: TreeNode },
): Promise<string | undefined> {
  let offsetBytes = 0;
  const chunks: Chunk[] = [];
  for (const id of node.content ?? []) {
    const blob = indexed.index.find('data', id);
    if (blob === undefined) return `blob ${id} is missing`;
    const lengthBytes = blob.plainLengthBytes === 0 ? blob.lengthBytes - 32 : blob.plainLengthBytes;
    chunks.push({ id, offsetBytes, lengthBytes });
    offsetBytes += lengthBytes;
  }
  try {
    const { equal, sizeBytes } = await pool.run('compare', { path: place, chunks });
    return equal.every(Boolean) && sizeBytes === offsetBytes ? undefined : 'content differs';
  } catch (error) {
    return messageOf(error);
  }
}
