// Verification of what snapshots reach: every tree once, every node by the rules that restores rely on.
import { compareNames } from '../base/byte-name.ts';
import { plainBytesOf } from './blob-codec.ts';
import type { IndexedRepository } from './blob-reader.ts';
import { RecordSet } from './record-set.ts';
import type { StoredSnapshot } from './snapshot.ts';
import { sweepTrees, type SweptTree } from './sweep-trees.ts';
import type { TreeNode } from './tree.ts';
import type { VerifyFindings } from './verify-findings.ts';
import { isSafeName } from './walk.ts';

export interface VerifyTreesOptions {
  readonly findings: VerifyFindings;
  readonly signal: AbortSignal;
  onTree(): void;
}

/** Returns which blobs are needed. */
export async function verifyTrees(
  indexed: IndexedRepository,
  snapshots: readonly StoredSnapshot[],
  { findings, signal, ...options }: VerifyTreesOptions,
): Promise<RecordSet> {
  const seen = new RecordSet(indexed.index.size);
  const roots = snapshots.map(({ id, tree }) => ({ id: tree, path: `${id.slice(0, 8)}:` }));
  await sweepTrees(indexed, roots, {
    signal,
    seen,
    visit: (tree) => {
      options.onTree();
      verifyNames(tree, findings);
      for (const node of tree.nodes) verifyNode(node, { path: `${tree.path}/${node.name}`, indexed, seen, findings });
    },
    onUnreadable: ({ path }, error) => findings.unreadable(path.endsWith(':') ? `${path}/` : path, error),
  });
  return seen;
}

function verifyNames({ path, nodes }: SweptTree, findings: VerifyFindings): void {
  let previous: string | undefined;
  for (const { name } of nodes) {
    if (!isSafeName(name)) findings.error(`${path}/`, `the name ${JSON.stringify(name)} is not a plain name`);
    const order = previous === undefined ? -1 : compareNames(previous, name);
    if (order === 0) findings.error(`${path}/${name}`, 'the name stands twice in its folder');
    else if (order > 0) findings.error(`${path}/${name}`, 'the names of its folder are not in order');
    previous = name;
  }
}

interface NodeContext {
  readonly path: string;
  readonly indexed: IndexedRepository;
  readonly seen: RecordSet;
  readonly findings: VerifyFindings;
}

function verifyNode(node: TreeNode, { path, indexed: { index }, seen, findings }: NodeContext): void {
  if (node.type === 'dir' && node.subtree === undefined) findings.error(path, 'the folder has no tree');
  if (node.type !== 'file') return;
  if (node.content === undefined) {
    findings.error(path, 'the file has no list of blobs');
    return;
  }
  let sizeBytes = 0;
  for (const id of node.content) {
    const record = index.recordOf('data', id);
    if (record >= 0) {
      seen.add(record);
      sizeBytes += plainBytesOf(index.at(record));
    } else {
      const what = /^0+$/.test(id) ? 'an id of zeros' : `blob ${id}, which is in no index`;
      findings.error(path, `the file needs ${what}`);
      sizeBytes = Number.NaN;
    }
  }
  // The content is what comes back; a wrong size misleads only what is shown beforehand.
  if (!Number.isNaN(sizeBytes) && sizeBytes !== node.sizeBytes)
    findings.note(path, `the file says it has ${node.sizeBytes} bytes, its blobs have ${sizeBytes}`);
}
