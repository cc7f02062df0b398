// What source.ts promises, as tests: every source runs them against its real origin, so that the engine may rely on it.
import { readdirSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { posix } from 'node:path';
import { describe, expect, test } from 'vitest';
import { compareNames, fsPath } from '../base/byte-name.ts';
import { AppError } from '../base/errors.ts';
import type { Finding } from '../model/finding.ts';
import { compareFingerprints, type Fingerprint } from '../model/fingerprint.ts';
import { folderWriter } from '../../test/support/write-recorded-folder.ts';
import type { BackupSession, Entry, ParentReader, RecoveryReader, Source } from './source.ts';

export interface SourceContractOptions {
  /** A source whose origin does not exist or refuses; without it, those promises are not tested. */
  readonly unreachable?: (() => Source | Promise<Source>) | undefined;
  /** Entries that belong to the moment of a backup, such as a log of changes: another backup of the same data has others. */
  readonly isOfMoment?: ((path: string) => boolean) | undefined;
  /** Where recovery points of a service go that can't go back to where they came from. */
  readonly restoreTo?: string | undefined;
}

/**
 * `open` gives a source over data at rest: nothing changes the data while the tests run. It may give the same source
 * each time. What it needs (a server, a folder) is started and stopped by the caller's own hooks.
 */
export function describeSource(
  name: string,
  open: () => Source | Promise<Source>,
  options: SourceContractOptions = {},
): void {
  const { isOfMoment = () => false, restoreTo } = options;
  const lasting = (lines: readonly string[]): string[] =>
    lines.filter((line) => !isOfMoment(line.slice(line.indexOf('/'))));
  describe(`${name} keeps the source contract`, () => {
    test('its check finds one thing per aspect, nothing failed, and a hint wherever it did not pass', async () => {
      const findings = await Array.fromAsync((await open()).check(never));
      expect(findings).not.toEqual([]);
      expect(findings.filter((finding) => finding.outcome === 'failed')).toEqual([]);
      expect(findings.filter(isMalformed)).toEqual([]);
      expect(new Set(findings.map((finding) => finding.aspect)).size).toBe(findings.length);
    });

    test('a session names absolute paths, none twice', async () => {
      await using session = await (await open()).open(never);
      expect(session.paths).not.toEqual([]);
      expect(session.paths).toEqual([...new Set(session.paths.map((path) => posix.resolve('/', path)))]);
    });

    test('entries come parents first, each sub-tree in one piece, no path twice', async () => {
      await using session = await (await open()).open(never);
      const walked = await walk(session);
      expect(walked).not.toEqual([]);
      expect(misplaced(walked.map(({ entry }) => entry))).toEqual([]);
    });

    test('metadata fits the type, and files and only files have content', async () => {
      await using session = await (await open()).open(never);
      const walked = await walk(session);
      expect(walked.flatMap(({ entry }) => contradictions(entry))).toEqual([]);
    });

    test('facts survive JSON', async () => {
      await using session = await (await open()).open(never);
      await walk(session);
      const facts = await session.facts(never);
      expect(JSON.parse(JSON.stringify(facts))).toStrictEqual(facts);
    });

    test('a second session over the same data yields the same tree and the same fingerprint', async () => {
      const source = await open();
      const first = await summary(source);
      const second = await summary(source);
      expect(lasting(second.paths)).toEqual(lasting(first.paths));
      expect(second.fingerprint?.method).toBe(first.fingerprint?.method);
      expect(differences(first.fingerprint, second.fingerprint)).toEqual([]);
    });

    test('a fingerprint names its method, and each item once with a decimal sum', async () => {
      const { fingerprint } = await summary(await open());
      expect(fingerprint?.method).not.toBe('');
      const items = fingerprint?.items ?? [];
      expect(new Set(items.map((item) => item.name)).size).toBe(items.length);
      expect(items.filter((item) => !/^\d+$/.test(item.sum) || item.rows < 0)).toEqual([]);
    });

    test('two sessions side by side do not disturb each other', async () => {
      const source = await open();
      const [left, right] = await Promise.all([summary(source), summary(source)]);
      expect(lasting(left.paths)).toEqual(lasting(right.paths));
      expect(differences(left.fingerprint, right.fingerprint)).toEqual([]);
    });

    for (const [stage, touch] of earlyEnds) {
      test(`closing a session ${stage} frees what it held, and another one can be opened`, async () => {
        const source = await open();
        await summary(source); // What a source keeps for all sessions is there from now on.
        const before = held();
        {
          await using session = await source.open(never);
          await touch(session);
        }
        await expect.poll(held, { timeout: 10_000 }).toBeLessThanOrEqual(before);
        await summary(source);
      });
    }

    test('opening with an aborted signal rejects', async () => {
      const source = await open();
      await expect(openAndClose(source, AbortSignal.abort())).rejects.toBeInstanceOf(Error);
    });

    test('a walk whose signal was aborted before it began rejects', async () => {
      await using session = await (await open()).open(never);
      await expect(Array.fromAsync(session.entries(AbortSignal.abort()))).rejects.toBeInstanceOf(Error);
    });

    test('a walk that is aborted rejects; it never ends as if it were complete', async () => {
      const controller = new AbortController();
      await using session = await (await open()).open(never);
      const walked = Array.fromAsync(session.entries(controller.signal), () => controller.abort());
      await expect(walked).rejects.toBeInstanceOf(Error);
    });

    test('what a session of a service yields comes back in a sandbox with the same fingerprint', async (context) => {
      const source = await open();
      if (source.restore.kind !== 'service') {
        context.skip('its recovery points are trees of files');
        return;
      }
      const reader = await recorded(source);
      const expected = await reader.fingerprint(never);
      await using sandbox = await source.restore.sandbox(reader, never);
      expect(sandbox.description).not.toBe('');
      await sandbox.restore(reader, never);
      const found = await sandbox.fingerprint(never);
      expect(found.method).toBe(expected?.method);
      expect(differences(expected, found)).toEqual([]);
    });

    test('a decision to restore a service names target and steps and has well-formed findings', async (context) => {
      const source = await open();
      if (source.restore.kind !== 'service') {
        context.skip('its recovery points are trees of files');
        return;
      }
      const decision = await source.restore.decide(await recorded(source), { include: [], to: restoreTo }, never);
      expect(decision.target).not.toBe('');
      expect(decision.steps).not.toEqual([]);
      expect(decision.findings.filter(isMalformed)).toEqual([]);
    });

    const { unreachable } = options;
    if (unreachable !== undefined) describeUnreachable(unreachable);
  });
}

function describeUnreachable(open: () => Source | Promise<Source>): void {
  test('the check of an unreachable origin yields a failed finding with a hint and does not throw', async () => {
    const findings = await Array.fromAsync((await open()).check(never));
    expect(findings.filter(isMalformed)).toEqual([]);
    expect(findings.map((finding) => finding.outcome)).toContain('failed');
  });

  test('a backup of an unreachable origin rejects with an error that has a hint', async () => {
    const error: unknown = await summary(await open()).then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    expect(error).toBeInstanceOf(AppError);
    expect(error).toMatchObject({
      code: expect.stringMatching(/^(?:SOURCE_|TOOL_|CONFIG_)/),
      hint: expect.any(String),
    });
    expect((error as AppError).hint).not.toBe('');
  });
}

/** An `AbortSignal` that nobody aborts. */
const never = new AbortController().signal;

/** How far a session is used before it is closed; iterators are abandoned, not ended, so that closing alone must do. */
const earlyEnds: readonly (readonly [string, (session: BackupSession) => Promise<unknown>])[] = [
  ['that nobody read', () => Promise.resolve()],
  ['after its first entry', (session) => session.entries(never)[Symbol.asyncIterator]().next()],
  [
    'in the middle of its first stream',
    async (session) => {
      for await (const entry of session.entries(never)) {
        if (entry.kind !== 'whole' || entry.content?.from !== 'stream') continue;
        await entry.content.open(never)[Symbol.asyncIterator]().next();
        return;
      }
    },
  ],
];

/** Open files, sockets, pipes and child processes of this process. */
function held(): number {
  const processes = process.getActiveResourcesInfo().filter((resource) => resource === 'ProcessWrap').length;
  return processes + readdirSync(process.platform === 'linux' ? '/proc/self/fd' : '/dev/fd').length;
}

async function openAndClose(source: Source, signal: AbortSignal): Promise<void> {
  const session = await source.open(signal);
  await session[Symbol.asyncDispose]();
}

interface Walked {
  readonly entry: Entry;
  readonly bytes: Buffer | undefined;
}

/** Reads all entries, and each one's content before the next entry, as a backup does. */
async function walk(session: BackupSession): Promise<Walked[]> {
  const walked: Walked[] = [];
  for await (const entry of session.entries(never)) {
    const isLater = entry.kind === 'whole' && entry.content?.from === 'later';
    walked.push({ entry, bytes: isLater ? undefined : await contentOf(entry) });
  }
  return Promise.all(
    walked.map(async ({ entry, bytes }) =>
      entry.kind === 'whole' && entry.content?.from === 'later'
        ? { entry, bytes: Buffer.from(await entry.content.bytes) }
        : { entry, bytes },
    ),
  );
}

/** All of a file: what its stream yields, or its ranges over a parent that holds nothing, which must cover it all. */
async function contentOf(entry: Entry): Promise<Buffer | undefined> {
  if (entry.kind === 'whole') {
    if (entry.content === undefined) return undefined;
    if (entry.content.from === 'file') return readFile(fsPath(entry.content.path));
    if (entry.content.from !== 'stream') return Buffer.from(await entry.content.bytes);
    // A piece is theirs who read it until they ask for the next.
    return Buffer.concat(await Array.fromAsync(entry.content.open(never), (piece) => Buffer.from(piece)));
  }
  const parts: Uint8Array[] = [];
  let end = 0;
  for await (const range of entry.ranges(emptyParent, never)) {
    expect(range.offset, `${entry.path}: ranges over an empty parent follow each other`).toBe(end);
    end += range.bytes.length;
    parts.push(Buffer.from(range.bytes));
  }
  expect(end, `${entry.path}: ranges over an empty parent cover the file`).toBe(entry.metadata.sizeBytes);
  return Buffer.concat(parts);
}

const emptyParent: ParentReader = {
  sizeBytes: 0,
  read: (offset, length) => Promise.reject(new Error(`read ${length} bytes at ${offset} of a parent without any`)),
};

async function summary(source: Source) {
  await using session = await source.open(never);
  const walked = await walk(session);
  const fingerprint = await session.fingerprint(never);
  const paths = walked.map(({ entry }) => `${entry.metadata.type} ${entry.path}`).toSorted(compareNames);
  return { paths, fingerprint };
}

/** One backup kept in memory, as the engine would give it back. */
async function recorded(source: Source): Promise<RecoveryReader> {
  await using session = await source.open(never);
  const walked = new Map((await walk(session)).map((item) => [item.entry.path, item]));
  const fingerprint = await session.fingerprint(never);
  const facts = await session.facts(never);
  return {
    // eslint-disable-next-line typescript/require-await -- The contract wants an async iterable.
    async *entries() {
      for (const { entry } of walked.values()) yield { path: entry.path, metadata: entry.metadata };
    },
    // eslint-disable-next-line typescript/require-await -- As above.
    async *read(path) {
      const bytes = walked.get(path)?.bytes;
      if (bytes === undefined) throw new AppError('NOT_FOUND', `no file ${path}`, { hint: 'Name a file of the list.' });
      yield bytes;
    },
    writeFolder: folderWriter(
      () => Array.from(walked.values(), ({ entry: { path, metadata } }) => ({ path, metadata })),
      (path) => walked.get(path)?.bytes,
    ),
    facts: () => Promise.resolve(facts),
    fingerprint: () => Promise.resolve(fingerprint),
  };
}

function differences(expected: Fingerprint | undefined, found: Fingerprint | undefined) {
  return expected === undefined || found === undefined ? [] : compareFingerprints(expected, found);
}

function isMalformed(finding: Finding): boolean {
  if (finding.aspect === '' || finding.message === '') return true;
  return finding.outcome !== 'passed' && (finding.hint ?? '') === '';
}

/** What is wrong with the order of entries, one line each. */
function misplaced(entries: readonly Entry[]): string[] {
  const problems: string[] = [];
  const seen = new Set<string>(['/']);
  /** Directories that may still receive entries, outermost first. */
  const open: string[] = ['/'];
  for (const { path, metadata } of entries) {
    if (path !== posix.resolve('/', path)) problems.push(`${path} is not absolute and plain`);
    if (seen.has(path)) problems.push(`${path} came twice`);
    seen.add(path);
    const depth = open.lastIndexOf(posix.dirname(path));
    if (depth === -1) problems.push(`${path}: its directory did not come before it, or was left already`);
    else open.length = depth + 1;
    if (metadata.type === 'dir') open.push(path);
  }
  return problems;
}

/** What in an entry does not fit together, one line each. */
function contradictions({ path, metadata, ...entry }: Entry): string[] {
  const { type, mode, sizeBytes, deviceNumber, linkTarget } = metadata;
  const isFile = type === 'file';
  const content = entry.kind === 'whole' ? entry.content : undefined;
  const rules: readonly (readonly [boolean, string])[] = [
    [(mode & ~0o7777) === 0, `mode ${mode} holds more than permissions`],
    [Number.isSafeInteger(sizeBytes) && sizeBytes >= 0 && (isFile || sizeBytes === 0), `${type} of ${sizeBytes} bytes`],
    [type === 'dev' || type === 'chardev' || deviceNumber === 0n, `${type} with a device number`],
    [(type === 'symlink') === (linkTarget !== undefined), `${type} with link target ${linkTarget}`],
    [entry.kind === 'whole' || isFile, `patched ${type}`],
    [entry.kind === 'patched' || isFile === (content !== undefined), `${type} with content ${content?.from}`],
    [content?.from !== 'file' || content.path === posix.resolve('/', content.path), 'content from a relative path'],
  ];
  return rules.filter(([holds]) => !holds).map(([, problem]) => `${path}: ${problem}`);
}
