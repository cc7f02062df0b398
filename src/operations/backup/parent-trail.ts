// Looks up, in a tree, entries whose paths come one after the other.
import type { StoredSnapshot } from '../../repository/snapshot.ts';
import type { ParentTree } from './parent-tree.ts';

/** Finds the parent's nodes of paths that come depth first. */
export class ParentTrail {
  readonly #tree: ParentTree;
  #folders: string[] = [];

  constructor(tree: ParentTree) {
    this.#tree = tree;
  }

  async begin(root: StoredSnapshot['tree'] | undefined): Promise<void> {
    await this.#tree.enterRoot(root);
  }

  async find(path: string): Promise<{ readonly name: string; readonly node: ReturnType<ParentTree['find']> }> {
    const folders = path.split('/').slice(1);
    const name = folders.pop() ?? '';
    let common = 0;
    while (common < folders.length && this.#folders[common] === folders[common]) common += 1;
    for (let depth = this.#folders.length; depth > common; depth -= 1) this.#tree.leave();
    for (const folder of folders.slice(common)) await this.#tree.enter(folder);
    this.#folders = folders;
    return { name, node: this.#tree.find(name) };
  }
}
