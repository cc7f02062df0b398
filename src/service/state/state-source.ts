// The state of the service as a source of backups: its catalog at one instant, its configuration files, and the key of its audit log.
import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { parseDocument } from 'yaml';
import { errnoOf } from '../../base/errors.ts';
import type { JsonObject } from '../../base/json.ts';
import { syntheticMetadata } from '../../base/synthetic-metadata.ts';
import type { Clock } from '../../base/clock.ts';
import type { Catalog } from '../../catalog/catalog.ts';
import { freezeCatalog, rowsOf } from '../../catalog/export-catalog.ts';
import { portableTables, type PortableTable } from '../../catalog/portable-tables.ts';
import { serviceRow } from '../../catalog/service-self.ts';
import type { BackupSession, Content, Entry, EntryProblem, Source } from '../../sources/source.ts';
import {
  auditKeyPath,
  configurationPath,
  manifestPath,
  newManifest,
  stateFolder,
  tablePath,
  type StateManifest,
} from './layout.ts';
import { storedNames, type DescribedFile } from './stored-names.ts';

export interface StateSourceParts {
  readonly catalog: Pick<Catalog, 'db' | 'kind'>;
  /** Files of the applications, each with one. */
  readonly configurations: readonly string[];
  readonly readConfigurationFile: (path: string) => Promise<Buffer>;
  /** What can be said of one: whose it is, and which template it extends. */
  readonly describeConfiguration: (path: string) => Promise<DescribedConfiguration>;
  /** Where the key of the audit log lies, if there is one. */
  readonly auditKeyFile: string;
  readonly clock: Clock;
  readonly host: string;
  readonly program: string;
}

export interface DescribedConfiguration {
  /** Undefined where it can't be used here as it is. */
  readonly application: string | undefined;
  readonly template: string | undefined;
}

export function stateSource(parts: StateSourceParts): Source {
  return {
    kind: 'service',
    // Nothing of it is reached over a network but the catalog, which was opened by now.
    async *check() {},
    open: (signal) => openSession(parts, signal),
    restore: { kind: 'tree' },
  };
}

interface StoredFile {
  readonly path: string;
  readonly bytes: Buffer;
}

async function openSession(parts: StateSourceParts, signal: AbortSignal): Promise<BackupSession> {
  const { catalog, clock, host, program } = parts;
  signal.throwIfAborted();
  const problems: EntryProblem[] = [];
  const { files, configurations, templates } = await readConfigurations(parts, problems);
  const auditKey = await readIfThere(parts.auditKeyFile);
  if (auditKey !== undefined) files.push({ path: auditKeyPath, bytes: auditKey });
  await using stack = new AsyncDisposableStack();
  // Only now: whoever waited for a lock of the repository kept no transaction open meanwhile.
  const frozen = stack.use(await freezeCatalog(catalog));
  const { service, generation } = await serviceRow(frozen);
  const identity = { service, generation };
  const takenAtMs = clock.now();
  const rows: Record<string, number> = {};
  const timeNs = BigInt(takenAtMs) * 1_000_000n;
  const entry = (path: string, content: Content): Entry => ({
    kind: 'whole',
    path,
    metadata: syntheticMetadata('file', timeNs),
    content,
  });
  async function* entries(): AsyncGenerator<Entry> {
    for (const table of portableTables) {
      yield entry(tablePath(table.name), { from: 'stream', open: (own) => linesOf(table, own) });
    }
    for (const { path, bytes } of files) yield entry(path, { from: 'stream', open: () => onePiece(bytes) });
    // Streams before it were read to their ends when it is asked for.
    const manifest = newManifest({
      ...identity,
      takenAtMs,
      host,
      program,
      catalog: catalog.kind,
      migrations: [...frozen.migrations],
      rows,
      configurations,
      templates,
      hasAuditKey: auditKey !== undefined,
    });
    yield entry(manifestPath, { from: 'bytes', bytes: Buffer.from(`${JSON.stringify(manifest, undefined, 2)}\n`) });
  }
  async function* linesOf(table: PortableTable, own: AbortSignal): AsyncGenerator<Uint8Array> {
    rows[table.name] = 0;
    const lines: string[] = [];
    for await (const row of rowsOf(frozen.db, table)) {
      own.throwIfAborted();
      rows[table.name] = (rows[table.name] ?? 0) + 1;
      lines.push(JSON.stringify(row));
      if (lines.length >= linesPerPiece) yield pieceOf(lines.splice(0));
    }
    if (lines.length > 0) yield pieceOf(lines);
  }
  const opened = stack.move();
  return {
    paths: [stateFolder],
    problems,
    entries,
    facts: () => Promise.resolve({ ...identity, rows } satisfies JsonObject),
    fingerprint: () => Promise.resolve(undefined), // The tree itself says it all.
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  };
}

const linesPerPiece = 500;
const pieceOf = (lines: readonly string[]): Buffer => Buffer.from(`${lines.join('\n')}\n`);

// eslint-disable-next-line typescript/require-await -- The contract wants an async iterable.
async function* onePiece(bytes: Buffer): AsyncGenerator<Uint8Array> {
  yield bytes;
}

/** Under names that differ, whatever the files are called. */
async function readConfigurations(
  parts: StateSourceParts,
  problems: EntryProblem[],
): Promise<Pick<StateManifest, 'configurations' | 'templates'> & { readonly files: StoredFile[] }> {
  const texts = new Map<string, Buffer>();
  const read = async (path: string): Promise<Buffer | undefined> => {
    try {
      const bytes = await parts.readConfigurationFile(path);
      texts.set(path, bytes);
      return bytes;
    } catch (error) {
      problems.push({ path, message: `can't be read: ${errnoOf(error) ?? 'unknown error'}` });
      return undefined;
    }
  };
  const described: DescribedFile[] = [];
  for (const path of parts.configurations) {
    const bytes = await read(path);
    if (bytes === undefined) continue;
    const { application = applicationOf(bytes.toString('utf8')), template } = await parts.describeConfiguration(path);
    described.push({ path, application: application ?? basename(path, '.yaml'), template });
  }
  const templatePaths = [...new Set(described.flatMap(({ template }) => template ?? []))];
  for (const path of templatePaths) await read(path);
  const names = storedNames(described);
  const nameOf = (path: string): string => names.get(path) ?? basename(path);
  return {
    files: [...texts].map(([path, bytes]) => ({ path: configurationPath(nameOf(path)), bytes })),
    configurations: described.map(({ path, application }) => ({ name: nameOf(path), application, path })),
    templates: templatePaths.filter((path) => texts.has(path)).map((path) => ({ name: nameOf(path), path })),
  };
}

/** As it is written: where a reference stands in its place, the file's name has to do. */
function applicationOf(text: string): string | undefined {
  const document = parseDocument(text, { prettyErrors: false, logLevel: 'silent' });
  const name = document.errors.length > 0 ? undefined : document.get('application');
  return typeof name === 'string' && /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(name) ? name : undefined;
}

async function readIfThere(path: string): Promise<Buffer | undefined> {
  try {
    return await readFile(path);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}
