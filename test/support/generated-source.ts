// An application made of generated files, backed up as a real source would be: streams, and ranges against the parent.
import type { Random } from '../../src/base/random.ts';
import { syntheticMetadata } from '../../src/base/synthetic-metadata.ts';
import type { BackupSession, Entry, ParentReader, Source } from '../../src/sources/source.ts';

/** Path → content. The buffers are never changed. */
export type Files = ReadonlyMap<string, Buffer>;

const foldersMax = 4;
const filesMax = 16;

function content(random: Random): Buffer {
  // Rarely large enough for several chunks; often equal to another file, so that blobs are shared.
  const sizeBytes = random() < 0.01 ? 700_000 + Math.floor(random() * 900_000) : Math.floor(random() ** 3 * 6000);
  if (random() < 0.15) return Buffer.from('the same in many places'.repeat(Math.floor(random() * 4)));
  const bytes = Buffer.allocUnsafe(sizeBytes);
  let state = Math.floor(random() * 2 ** 32);
  for (let at = 0; at < sizeBytes; at += 1) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    bytes[at] = state >>> 24;
  }
  return bytes;
}

function edited(bytes: Buffer, random: Random): Buffer {
  if (bytes.length === 0 || random() < 0.5) return content(random);
  const copy = Buffer.concat([bytes, random() < 0.3 ? content(random) : Buffer.alloc(0)]);
  const at = Math.floor(random() * copy.length);
  copy[at] = (copy[at] ?? 0) ^ 0xff;
  return copy;
}

/** The next state of the application: some files edited, added, removed. */
export function mutate(files: Files, random: Random): Files {
  const next = new Map(files);
  for (const [path, bytes] of files) {
    if (random() < 0.15) next.delete(path);
    else if (random() < 0.25) next.set(path, edited(bytes, random));
  }
  while (next.size < 3 || (next.size < filesMax && random() < 0.6)) {
    const folder = Math.floor(random() * foldersMax);
    const depth = random() < 0.3 ? '/deep' : '';
    next.set(`/app/d${folder}${depth}/f${Math.floor(random() * 20)}`, content(random));
  }
  return next;
}

export function generatedSource(files: Files, random: Random): Source {
  return {
    kind: 'generated',
    async *check() {},
    open: () => Promise.resolve(session(files, random)),
    restore: { kind: 'tree' },
  };
}

function session(files: Files, random: Random): BackupSession {
  return {
    paths: ['/app'],
    problems: [],
    // eslint-disable-next-line typescript/require-await -- The contract wants an async iterable.
    async *entries(): AsyncGenerator<Entry> {
      for (const path of [...files.keys()].toSorted()) {
        const bytes = files.get(path) ?? Buffer.alloc(0);
        const metadata = { ...syntheticMetadata('file', 1_700_000_000_000_000_000n), sizeBytes: bytes.length };
        const spans = [{ offset: 0, length: bytes.length }];
        if (random() < 0.3)
          yield { kind: 'patched', path, metadata, spans, ranges: (parent) => rangesOf(bytes, parent) };
        else yield { kind: 'whole', path, metadata, content: { from: 'stream', open: () => streamOf(bytes, random) } };
      }
    },
    facts: () => Promise.resolve({}),
    fingerprint: () => Promise.resolve(undefined),
    async [Symbol.asyncDispose]() {},
  };
}

// eslint-disable-next-line typescript/require-await -- The contract wants an async iterable.
async function* streamOf(bytes: Buffer, random: Random): AsyncGenerator<Uint8Array> {
  const cut = Math.floor(random() * bytes.length);
  yield bytes.subarray(0, cut);
  yield bytes.subarray(cut);
}

/** All of it: what stays the same as in the parent is found out by its hash. */
async function* rangesOf(
  bytes: Buffer,
  parent: ParentReader,
): AsyncGenerator<{ readonly offset: number; readonly bytes: Uint8Array }> {
  const cut = Math.min(bytes.length, Math.floor(parent.sizeBytes / 2));
  const old = await parent.read(0, cut);
  yield { offset: 0, bytes: old.equals(bytes.subarray(0, cut)) ? old : bytes.subarray(0, cut) };
  yield { offset: cut, bytes: bytes.subarray(cut) };
}
