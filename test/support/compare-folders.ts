// What two folders hold, in a form whose difference a test prints: type, mode, owner, times, links, attributes, content.
import { lstatSync, readdirSync, readFileSync } from 'node:fs';
import { hash } from 'node:crypto';
import { compareNames, fsPath, nameFromBytes } from '../../src/base/byte-name.ts';
import { readMetadata } from '../../src/base/file-metadata.ts';

/** One line an entry, sorted by path; hard links name the first path of their file. Times of the folder itself left out. */
export function listFolder(root: string): string[] {
  const lines: string[] = [];
  const inodes = new Map<string, string>();
  const visit = (path: string): void => {
    const place = `${root}${path}`;
    const stats = lstatSync(fsPath(place), { bigint: true });
    const found = readMetadata(place, stats);
    const attributes = found.extendedAttributes.map(({ name, value }) => `${name}=${value.toString('hex')}`).toSorted();
    const key = `${stats.dev}/${stats.ino}`;
    const twin = found.type !== 'dir' && found.links > 1 ? (inodes.get(key) ?? '') : '';
    if (found.type !== 'dir' && found.links > 1 && twin === '') inodes.set(key, path);
    const content = found.type === 'file' ? hash('sha256', readFileSync(fsPath(place))) : (found.linkTarget ?? '');
    const mode = found.mode.toString(8);
    const device = found.deviceNumber.toString();
    const facts = [found.type, mode, found.uid, found.gid, found.mtimeNs, found.sizeBytes, device, twin, content];
    lines.push(`${JSON.stringify(path)} ${facts.join(' ')} ${attributes.join(' ')}`);
    if (found.type !== 'dir') return;
    const names = readdirSync(fsPath(place), { encoding: 'buffer' }).map((name) => nameFromBytes(name));
    for (const name of names.toSorted(compareNames)) visit(`${path}/${name}`);
  };
  visit('');
  return lines;
}
