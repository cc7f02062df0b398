// Compares a restored folder with the tree it came from: every entry, its content by hash, all metadata that a restore can
// set, and that there is nothing more.
import { chmodSync, lstatSync, opendirSync, type BigIntStats } from 'node:fs';
import { fsPath, nameFromBytes } from '../../base/byte-name.ts';
import { readMetadata } from '../../base/file-metadata.ts';
import type { FileMetadata } from '../../base/file-type.ts';
import type { ContentCount } from '../../model/proof-content.ts';
import type { TreeNode } from '../../repository/tree.ts';
import { walkTree } from '../../repository/walk.ts';
import { contentDifference } from '../compare-content.ts';
import { ownFolder } from '../own-folder.ts';
import { metadataOf } from '../node-metadata.ts';
import { hardLinkKey, isSameFile } from '../restore/place-entry.ts';
import type { PointParts } from '../restore/recovery-reader.ts';

export interface TreeDifference {
  readonly name: string;
  readonly kind: 'missing' | 'changed' | 'added';
  readonly rowsExpected: number;
  readonly rowsFound: number;
  readonly detail: string;
}

export interface TreeComparison {
  readonly compared: number;
  readonly content: readonly ContentCount[];
  readonly differences: readonly TreeDifference[];
  /** Device nodes that only root can make, and so were not looked at. */
  readonly skipped: number;
}

/** `folder` is a throw-away copy: folders that bar their owner are opened. */
export async function compareTree(parts: PointParts, folder: string, signal: AbortSignal): Promise<TreeComparison> {
  return new Comparison(parts, folder).perform(signal);
}

class Comparison {
  readonly #parts: PointParts;
  readonly #folder: string;
  readonly #isRoot = process.geteuid?.() === 0;
  readonly #differences: TreeDifference[] = [];
  readonly #links = new Map<string, { readonly node: TreeNode; readonly path: string; readonly inode: bigint }[]>();
  #compared = 0;
  readonly #content = { file: 0, byte: 0, folder: 0, link: 0, 'special file': 0 };
  #present = 0;
  #skipped = 0;

  constructor(parts: PointParts, folder: string) {
    this.#parts = parts;
    this.#folder = folder;
  }

  async perform(signal: AbortSignal): Promise<TreeComparison> {
    for await (const { path, node } of this.#expected(signal)) {
      const isDevice = node.type === 'dev' || node.type === 'chardev';
      if (isDevice && !this.#isRoot) {
        this.#skipped += 1;
        continue;
      }
      this.#compared += 1;
      this.#count(node);
      const detail = await this.#differenceOf(path, node);
      if (detail !== 'missing') this.#present += 1;
      if (detail !== undefined) this.#note(path, detail === 'missing' ? 'missing' : 'changed', detail);
      if (node.type === 'dir' && detail !== 'missing' && !this.#isRoot) openFolder(`${this.#folder}${path}`);
    }
    // Names are looked for only where the numbers differ: a tree may have millions.
    if (this.#found().some((_, at) => at >= this.#present)) await this.#noteAdded(signal);
    const all = Object.entries(this.#content).map(([what, count]) => ({ what, count }));
    // Bytes follow their files, however few.
    const content = all.filter(({ what, count }) => count > 0 || (what === 'byte' && this.#content.file > 0));
    return { compared: this.#compared, content, differences: this.#differences, skipped: this.#skipped };
  }

  #count({ type, sizeBytes }: TreeNode): void {
    if (type === 'file') this.#content.byte += sizeBytes;
    if (type === 'file') this.#content.file += 1;
    else if (type === 'dir') this.#content.folder += 1;
    else if (type === 'symlink') this.#content.link += 1;
    else this.#content['special file'] += 1;
  }

  async *#expected(signal: AbortSignal) {
    const { indexed, snapshot } = this.#parts;
    const enters = (path: string): boolean => path !== ownFolder;
    for await (const walked of walkTree(indexed, snapshot.tree, { signal, enters })) {
      if (walked.path !== ownFolder && walked.node.type !== 'socket') yield walked;
    }
  }

  /** Paths of all that is in the folder. */
  *#found(below = ''): Generator<string> {
    using folder = opendirSync(fsPath(`${this.#folder}${below}`), { encoding: 'buffer' as BufferEncoding });
    for (let entry = folder.readSync(); entry !== null; entry = folder.readSync()) {
      const name: string | Buffer = entry.name;
      const path = `${below}/${typeof name === 'string' ? name : nameFromBytes(name)}`;
      yield path;
      if (entry.isDirectory()) yield* this.#found(path);
    }
  }

  async #noteAdded(signal: AbortSignal): Promise<void> {
    const expected = new Set<string>();
    for await (const { path } of this.#expected(signal)) expected.add(path);
    for (const path of this.#found()) if (!expected.has(path)) this.#note(path, 'added', 'was not in the backup');
  }

  #note(name: string, kind: TreeDifference['kind'], detail: string): void {
    const rowsExpected = kind === 'added' ? 0 : 1;
    this.#differences.push({ name, kind, rowsExpected, rowsFound: kind === 'missing' ? 0 : 1, detail });
  }

  /** What differs between an entry on disk and its node, in words; undefined if nothing does. */
  async #differenceOf(path: string, node: TreeNode): Promise<string | undefined> {
    const place = `${this.#folder}${path}`;
    const stats = lstatSync(fsPath(place), { bigint: true, throwIfNoEntry: false });
    if (stats === undefined) return 'missing';
    const field = this.#metadataDifference(this.#metadataAt(place, stats), metadataOf(node));
    if (field !== undefined) return `${field} differs`;
    const link = this.#linkDifference(path, { node, stats });
    if (link !== undefined) return link;
    if (node.type !== 'file') return undefined;
    using _ = this.#readable(place, stats);
    const difference = await contentDifference(this.#parts, place, node);
    return typeof difference === 'object' ? `${difference.missing} is missing` : difference && 'content differs';
  }

  /** Attributes of a file that its owner may not read take the right to read; where they don't, the mode is left alone. */
  #metadataAt(place: string, stats: BigIntStats): FileMetadata {
    let isWhole = true;
    const found = readMetadata(place, stats, { onProblem: () => (isWhole = false) });
    if (isWhole || stats.isSymbolicLink()) return found;
    using _ = this.#readable(place, stats);
    return readMetadata(place, stats);
  }

  /** Lets the owner read while it lasts: other names of the file are still to be compared by its mode. */
  #readable(place: string, { mode }: BigIntStats): Disposable {
    if (this.#isRoot || (mode & 0o400n) !== 0n) return { [Symbol.dispose]: () => undefined };
    const modeBefore = Number(mode) & 0o7777;
    chmodSync(fsPath(place), modeBefore | 0o400);
    return { [Symbol.dispose]: () => chmodSync(fsPath(place), modeBefore) };
  }

  /** Only root can give files away, and some bits of the mode depend on the owner. */
  #metadataDifference(found: FileMetadata, expected: FileMetadata): string | undefined {
    const field = plainFields.find(([name]) => found[name] !== expected[name]);
    if (field !== undefined) return field[1];
    const modeMask = this.#isRoot ? 0o7777 : 0o777;
    const attributes = (metadata: FileMetadata): string => attributesText(metadata, this.#isRoot);
    if (this.#isRoot && (found.uid !== expected.uid || found.gid !== expected.gid)) return 'owner';
    if (found.type !== 'symlink' && (found.mode & modeMask) !== (expected.mode & modeMask)) return 'mode';
    return attributes(found) === attributes(expected) ? undefined : 'set of extended attributes';
  }

  /** Names of one file must share it again, and nothing else may. */
  #linkDifference(
    path: string,
    { node, stats }: { readonly node: TreeNode; readonly stats: BigIntStats },
  ): string | undefined {
    if (node.type === 'dir') return undefined;
    if (stats.nlink > BigInt(Math.max(1, node.links))) return 'it shares its file with more names than it should';
    const key = hardLinkKey(node);
    if (key === undefined) return undefined;
    const others = this.#links.get(key) ?? [];
    const twin = others.find((other) => isSameFile(other.node, node));
    if (twin === undefined) this.#links.set(key, [...others, { node, path, inode: stats.ino }]);
    return twin === undefined || twin.inode === stats.ino ? undefined : `it is no hard link of ${twin.path} any more`;
  }
}

/** Once it is compared itself: without these rights its owner could not look at what is in it. It is thrown away in any case. */
function openFolder(place: string): void {
  const { mode } = lstatSync(fsPath(place));
  if ((mode & 0o700) !== 0o700) chmodSync(fsPath(place), (mode & 0o7777) | 0o700);
}

/** Must be equal whoever restored; what is said if they are not. */
const plainFields = [
  ['type', 'type'],
  ['sizeBytes', 'size'],
  ['linkTarget', 'link target'],
  ['deviceNumber', 'device number'],
  ['mtimeNs', 'modification time'],
] as const satisfies readonly (readonly [keyof FileMetadata, string])[];

/** Others are put there by the system itself (labels), or taken from users without rights. */
function attributesText({ extendedAttributes }: FileMetadata, isRoot: boolean): string {
  const comparable = isRoot
    ? /^(?:user\.|trusted\.|system\.posix_acl_|security\.capability$)/
    : /^(?:user\.|system\.posix_acl_)/;
  return extendedAttributes
    .filter(({ name }) => comparable.test(name))
    .map(({ name, value }) => `${name}=${value.toString('hex')}`)
    .toSorted()
    .join(' ');
}
