// The folders that benchmarks back up: repeatable from a seed, so that runs of different days measure the same work.
import { createCipheriv } from 'node:crypto';
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { seededRandom, type Random } from '../src/base/random.ts';
import { createCluster, fill, folderForPostgres, stopCluster } from './postgres/cluster.ts';

const pageBytes = 8192;
const segmentBytes = 64 * 1024 * 1024;

export interface TreeKind {
  readonly name: string;
  /** For people. */
  readonly what: string;
  make(folder: string): void;
  /** What it needs and this machine lacks. */
  readonly missing?: string | undefined;
}

function noise(key: number, sizeBytes: number): Buffer {
  const secret = Buffer.alloc(32);
  secret.writeUInt32LE(key);
  return createCipheriv('aes-256-ctr', secret, Buffer.alloc(16)).update(Buffer.alloc(sizeBytes));
}

const words = [
  'customer',
  'order',
  'paid',
  'shipped',
  'Berlin',
  'Springfield',
  'blue',
  'large',
  '19.99',
  'returned',
  'pending',
  'gift',
];

/** A heap page: header, item pointers, free space, rows of text and numbers; compresses about as a real one does. */
function fillPage(page: Buffer, random: Random, number: number): void {
  page.fill(0);
  page.writeUInt32LE(number, 4);
  let top = pageBytes;
  for (let item = 0; top > 400 + item * 4; item += 1) {
    const text = `${number * 100 + item},${Math.floor(random() * 1e9).toString(36)},${words[Math.floor(random() * 12)] ?? ''} ${words[Math.floor(random() * 12)] ?? ''},2026-11-${1 + Math.floor(random() * 28)}`;
    const size = 24 + text.length + ((8 - (text.length % 8)) % 8);
    top -= size;
    page.writeUInt32LE(Math.floor(random() * 2 ** 32), top);
    page.write(text, top + 24, 'latin1');
    page.writeUInt32LE(top, 24 + item * 4);
  }
}

function writeRelation(path: string, options: { readonly pages: number; readonly seed: number }): void {
  const random = seededRandom(options.seed);
  const file = openSync(path, 'w');
  const block = Buffer.alloc(pageBytes * 128);
  for (let page = 0; page < options.pages; page += 128) {
    for (let at = 0; at < 128; at += 1)
      fillPage(block.subarray(at * pageBytes, (at + 1) * pageBytes), random, page + at);
    writeSync(file, block, 0, Math.min(128, options.pages - page) * pageBytes);
  }
  closeSync(file);
}

/** 2 GB: 28 relations of 64 MiB, some hundred small ones, and 256 MB of recycled WAL. */
const database: TreeKind = {
  name: 'database',
  what: 'like a PostgreSQL data directory, 2 GB',
  make(folder) {
    const base = join(folder, 'base', '16384');
    mkdirSync(base, { recursive: true });
    for (let number = 0; number < 28; number += 1) {
      writeRelation(join(base, String(20_000 + number)), { pages: segmentBytes / pageBytes, seed: number });
    }
    for (let number = 0; number < 600; number += 1) {
      writeRelation(join(base, String(1000 + number)), { pages: 1 + (number % 16), seed: 1000 + number });
    }
    const wal = join(folder, 'pg_wal');
    mkdirSync(wal);
    for (let number = 0; number < 16; number += 1) {
      const name = number.toString(16).toUpperCase().padStart(24, '0');
      const used = noise(number, number % 2 === 0 ? 4 * 1024 * 1024 : 0);
      writeFileSync(join(wal, name), Buffer.concat([used, Buffer.alloc(16 * 1024 * 1024 - used.length)]));
    }
  },
};

const clusterPrograms = '/usr/lib/postgresql/15/bin';

/** What the tree above imitates; compresses five times as well. */
const cluster: TreeKind = {
  name: 'cluster',
  what: 'the data directory of PostgreSQL 15 with pgbench at scale 120, 2 GB',
  missing: existsSync(join(clusterPrograms, 'initdb')) ? undefined : "Debian's package postgresql-15",
  make(folder) {
    const base = folderForPostgres(folder);
    const made = createCluster(base, {
      programs: clusterPrograms,
      major: 15,
      port: 54_316,
      settings: ['max_wal_size = 256MB'],
    });
    fill(made, 120);
    stopCluster(made);
    rmSync(made.socketFolder, { recursive: true, force: true });
  },
};

const smallFiles: TreeKind = {
  name: 'small-files',
  what: '100 000 files of 0.5 to 8 KB in 1 000 folders',
  make(folder) {
    const random = seededRandom(3);
    for (let group = 0; group < 1000; group += 1) {
      const path = join(folder, String(group % 10), String(group));
      mkdirSync(path, { recursive: true });
      for (let number = 0; number < 100; number += 1) {
        const text = `${group}/${number} ${words.join(' ')} `.repeat(4 + Math.floor(random() * 70));
        writeFileSync(join(path, `file-${number}.txt`), `${random()}${text}`);
      }
    }
  },
};

const incompressible: TreeKind = {
  name: 'incompressible',
  what: '200 files of 4 to 6 MB of noise, 1 GB',
  make(folder) {
    mkdirSync(folder, { recursive: true });
    for (let number = 0; number < 200; number += 1) {
      writeFileSync(join(folder, `photo-${number}.jpg`), noise(5000 + number, 4_000_000 + number * 10_000));
    }
  },
};

export const trees: readonly TreeKind[] = [database, cluster, smallFiles, incompressible];

/** Rewrites one page in a hundred, all over the large files; for small files, one file in a hundred. */
export function changeOnePercent(kind: TreeKind, folder: string): void {
  const random = seededRandom(99);
  if (kind.name === 'small-files') {
    for (let group = 0; group < 1000; group += 1) {
      writeFileSync(join(folder, String(group % 10), String(group), `file-${group % 100}.txt`), `changed ${random()}`);
    }
    return;
  }
  const page = Buffer.alloc(pageBytes);
  for (const path of largeFiles(folder)) {
    const file = openSync(path, 'r+');
    const pages = Math.floor(statSync(path).size / pageBytes);
    // Changes cluster, as those of a real application do: runs of up to 64 pages.
    for (let changed = 0; changed < pages / 100;) {
      const run = 1 + Math.floor(random() * 64);
      const from = Math.floor(random() * (pages - run));
      for (let at = from; at < from + run; at += 1) {
        fillPage(page, random, at);
        writeSync(file, page, 0, pageBytes, at * pageBytes);
      }
      changed += run;
    }
    closeSync(file);
  }
}

/** All but WAL, from 4 MB on, in an order that is the same everywhere. */
function largeFiles(folder: string): string[] {
  const entries = readdirSync(folder, { withFileTypes: true, recursive: true });
  const paths = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  return paths.filter((path) => !path.includes('pg_wal') && statSync(path).size >= 4_000_000).toSorted();
}
