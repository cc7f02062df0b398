// Turns the stream of entries into trees, bottom up: a folder is encoded when its last entry has come and the contents
// of its files are known.
import { AppError } from '../../base/errors.ts';
import type { FileMetadata } from '../../base/file-type.ts';
import { syntheticMetadata } from '../../base/synthetic-metadata.ts';
import type { BlobWriter } from '../../repository/blob-writer.ts';
import type { BlobId } from '../../repository/ids.ts';
import { encodeTree, isSameNode, type TreeNode } from '../../repository/tree.ts';
import { nodeOf } from '../node-metadata.ts';
import type { EarlierFolder } from './parent-tree.ts';

type Pending<Value> = Value | Promise<Value>;

interface OpenFolder {
  readonly name: string;
  readonly metadata: FileMetadata;
  readonly nodes: Pending<TreeNode | undefined>[];
  readonly earlier: EarlierFolder;
}

export interface FolderEvents {
  /** A folder begins; its content follows. */
  enter(name: string): Promise<EarlierFolder>;
  leave(): void;
}

export class TreeBuilder {
  readonly #writer: BlobWriter;
  readonly #events: FolderEvents;
  readonly #stack: OpenFolder[];
  readonly #timeNs: bigint;
  /** Path of the current folder with a closing slash. */
  #prefix = '/';

  constructor(
    writer: BlobWriter,
    options: { readonly events: FolderEvents; readonly earlierRoot: EarlierFolder; readonly timeNs: bigint },
  ) {
    this.#writer = writer;
    this.#events = options.events;
    this.#timeNs = options.timeNs;
    this.#stack = [
      { name: '', metadata: syntheticMetadata('dir', options.timeNs), nodes: [], earlier: options.earlierRoot },
    ];
  }

  /** An entry's own name if it lies in the current folder, as most do after another. */
  nameHere(path: string): string | undefined {
    const { length } = this.#prefix;
    const isHere = path.length > length && path.startsWith(this.#prefix) && !path.includes('/', length);
    return isHere ? path.slice(length) : undefined;
  }

  /** Opens the folders that lead to `path` and closes those that don't; returns the entry's own name. */
  async moveTo(path: string): Promise<string> {
    const names = path.split('/').slice(1);
    const name = names.pop() ?? '';
    if (!path.startsWith('/') || name === '' || names.includes(''))
      throw new Error(`a source yielded the path '${path}'`);
    let common = 0;
    while (common < names.length && this.#stack[common + 1]?.name === names[common]) common += 1;
    while (this.#stack.length > common + 1) this.#close();
    for (const missing of names.slice(common)) await this.openFolder(missing, syntheticMetadata('dir', this.#timeNs));
    return name;
  }

  /** Opens a folder below the current one. */
  async openFolder(name: string, metadata: FileMetadata): Promise<void> {
    this.#prefix += `${name}/`;
    this.#stack.push({ name, metadata, nodes: [], earlier: await this.#events.enter(name) });
  }

  /**
   * Adds an entry to the current folder; one that resolves to undefined is left out. The node of an entry that is as it
   * was should be the parent snapshot's own: a folder of only such nodes need not be encoded again.
   */
  add(node: Pending<TreeNode | undefined>): void {
    this.#stack.at(-1)?.nodes.push(node);
  }

  /** Closes all folders. Returns the id of the root tree. */
  async finish(): Promise<BlobId> {
    while (this.#stack.length > 1) this.#close();
    const root = this.#stack.pop();
    if (root === undefined) throw new Error('the root folder was closed twice');
    await this.#writer.flush();
    return this.#save(root);
  }

  #close(): void {
    const folder = this.#stack.pop();
    if (folder === undefined) return;
    this.#prefix = this.#prefix.slice(0, -folder.name.length - 1);
    this.#events.leave();
    const before = this.#stack.at(-1)?.earlier.nodes.get(folder.name);
    const saved = this.#save(folder).then((subtree) => {
      const node = nodeOf(folder.name, folder.metadata, { subtree });
      return before !== undefined && isSameNode(node, before) ? before : node;
    });
    saved.catch(() => undefined); // The parent folder hears of it.
    this.add(saved);
  }

  async #save({ nodes, earlier }: OpenFolder): Promise<BlobId> {
    const complete: TreeNode[] = [];
    for (const node of nodes) {
      const resolved = node instanceof Promise ? await node : node;
      if (resolved !== undefined) complete.push(resolved);
    }
    const before = earlier.nodes.values();
    const isAsBefore = complete.length === earlier.nodes.size && complete.every((node) => node === before.next().value);
    if (earlier.id !== undefined && isAsBefore && this.#writer.isKnown('tree', earlier.id)) return earlier.id;
    let bytes: Buffer;
    try {
      bytes = encodeTree(complete);
    } catch (error) {
      throw new AppError('SOURCE_FAILED', `a source yielded entries that make no folder: ${String(error)}`, {
        hint: 'Report this; no snapshot was written.',
        cause: error,
      });
    }
    return this.#writer.saveTree(bytes);
  }
}
