// Makes folders with everything a file system allows: odd names, links, holes, special files, huge and empty files.
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  closeSync,
  ftruncateSync,
  linkSync,
  lutimesSync,
  mkdirSync,
  openSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { createCipheriv } from 'node:crypto';
import { fsPath, nameFromBytes } from '../../src/base/byte-name.ts';
import { errnoOf } from '../../src/base/errors.ts';
import { native } from '../../src/base/native.ts';
import type { Random } from '../../src/base/random.ts';

const oddNames = [
  'a<b>&',
  'quote"x',
  'back\\slash',
  'new\nline',
  'tab\there',
  'ä ö ü',
  '\u{1f600}',
  'nbsp\u00a0x',
  '\u2028',
  '-rf',
  '~',
  '...',
  ' ',
  '%s',
  '*',
];

function randomName(random: Random, number: number): string {
  const kind = random();
  if (kind < 0.3) return `${oddNames[Math.floor(random() * oddNames.length)] ?? ''}${number}`;
  if (kind < 0.4)
    return nameFromBytes(Buffer.from([0x66, 0xff, 0x80 + Math.floor(random() * 0x7f), ...Buffer.from(String(number))]));
  if (kind < 0.45) return `${'n'.repeat(240)}${number}`;
  return `file-${number}`;
}

/** Bytes that do not compress, cheaply. */
export function noise(random: Random, sizeBytes: number): Buffer {
  const key = Buffer.from(Array.from({ length: 32 }, () => Math.floor(random() * 256)));
  return createCipheriv('aes-256-ctr', key, Buffer.alloc(16)).update(Buffer.alloc(sizeBytes));
}

function randomSize(random: Random): number {
  const kind = random();
  if (kind < 0.2) return 0;
  if (kind < 0.9) return Math.floor(random() * 5000);
  if (kind < 0.98) return Math.floor(random() * 700_000);
  return Math.floor(random() * 12_000_000);
}

function writeRandomFile(path: string, random: Random): void {
  const sizeBytes = randomSize(random);
  const file = openSync(fsPath(path), 'wx', 0o600);
  try {
    if (random() < 0.1) {
      ftruncateSync(file, sizeBytes + 3_000_000); // A hole, and after it the end.
      writeSync(file, noise(random, 100), 0, 100, sizeBytes);
    } else if (random() < 0.5) writeSync(file, noise(random, sizeBytes));
    else
      writeSync(
        file,
        Buffer.from('the same words again and again\n'.repeat(Math.ceil(sizeBytes / 31))).subarray(0, sizeBytes),
      );
  } finally {
    closeSync(file);
  }
}

/** As the kernel keeps it: version 2, then tag, rights and id of each entry. */
function accessList(random: Random): Buffer {
  const anyone = 0xffff_ffff;
  const rights = (): number => Math.floor(random() * 8);
  const entries = [
    [0x01, 6, anyone],
    [0x02, rights(), 4711],
    [0x04, rights(), anyone],
    [0x10, 7, anyone],
    [0x20, rights(), anyone],
  ] as const;
  const bytes = Buffer.alloc(4 + entries.length * 8);
  bytes.writeUInt32LE(2);
  for (const [at, [tag, right, id]] of entries.entries()) {
    bytes.writeUInt16LE(tag, 4 + at * 8);
    bytes.writeUInt16LE(right, 6 + at * 8);
    bytes.writeUInt32LE(id, 8 + at * 8);
  }
  return bytes;
}

/** Where the file system has them. */
function giveAttributes(path: string, random: Random): void {
  const attributes: (readonly [string, Buffer])[] = [];
  for (let number = 0; random() < 0.3; number += 1)
    attributes.push([`user.note-${number}`, noise(random, Math.floor(random() * 200))]);
  if (random() < 0.15) attributes.push(['system.posix_acl_access', accessList(random)]);
  for (const [name, value] of attributes) {
    try {
      native()?.writeExtendedAttribute(path, name, value);
    } catch (error) {
      if (errnoOf(error) !== 'ENOTSUP' && errnoOf(error) !== 'EOPNOTSUPP') throw error;
    }
  }
}

/** Fills an existing folder with about `entries` entries. */
export function fillFolder(root: string, random: Random, entries: number): void {
  const folders = [root];
  const files: string[] = [];
  for (let number = 0; number < entries; number += 1) {
    const parent = folders[Math.floor(random() * folders.length)] ?? root;
    const path = `${parent}/${randomName(random, number)}`;
    const kind = random();
    const twin = files[Math.floor(random() * files.length)];
    if (kind < 0.15) {
      mkdirSync(fsPath(path));
      giveAttributes(path, random);
      folders.push(path);
    } else if (kind < 0.22)
      symlinkSync(random() < 0.5 ? '../nowhere' : fsPath(nameFromBytes(Buffer.from('746f20ff', 'hex'))), fsPath(path));
    else if (kind < 0.27 && twin !== undefined) linkSync(fsPath(twin), fsPath(path));
    else if (kind < 0.29) execFileSync('mkfifo', ['--', `${root}/fifo-${number}`]);
    else {
      writeRandomFile(path, random);
      giveAttributes(path, random);
      files.push(path);
      if (random() < 0.5)
        chmodSync(fsPath(path), [0o644, 0o755, 0o4755, 0o2711, 0o400][Math.floor(random() * 5)] ?? 0o600);
      if (random() < 0.3) lutimesSync(fsPath(path), 1, Math.floor(random() * 4e9) - 1e9);
    }
  }
}

/** Fills an existing folder with exactly so many entries, nearly all of them small: many, not much; the first `together` lie in the folder itself. */
export function fillWithSmall(
  root: string,
  random: Random,
  { entries, together }: { readonly entries: number; readonly together: number },
): void {
  const folders = [root];
  let file: string | undefined;
  for (let number = 0; number < entries; number += 1) {
    // Most lie in one folder, as mails and thumbnails do.
    const parent = number < together ? root : (folders[Math.floor(random() * folders.length)] ?? root);
    const path = `${parent}/${randomName(random, number)}`;
    const kind = random();
    if (kind < 0.03) {
      mkdirSync(fsPath(path));
      folders.push(path);
    } else if (kind < 0.05) symlinkSync(`../nowhere-${number}`, fsPath(path));
    else if (kind < 0.07 && file !== undefined) linkSync(fsPath(file), fsPath(path));
    else {
      const content = random() < 0.3 ? '' : `${number} `.repeat(1 + Math.floor(random() * 30));
      writeFileSync(fsPath(path), content, { flag: 'wx', mode: random() < 0.1 ? 0o640 : 0o644 });
      file = path;
    }
    if (random() < 0.2) lutimesSync(fsPath(path), 1, random() * 4e9 - 1e9);
  }
}
