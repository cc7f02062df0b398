// Reads a backup of the service's state: what its manifest says, and the rows of its tables, checked against it.
import { AppError, messageOf } from '../../base/errors.ts';
import type { CatalogRow } from '../../catalog/export-catalog.ts';
import type { RecoveryReader } from '../../sources/source.ts';
import { manifestPath, manifestSchema, tablePath, type StateManifest } from './layout.ts';

/** More than any of our small files has. */
const fileSizeMaxBytes = 4 << 20;
const lineMaxLength = 64 << 20;

export async function readManifest(reader: RecoveryReader, signal: AbortSignal): Promise<StateManifest> {
  const text = (await readStateFile(reader, manifestPath, signal)).toString('utf8');
  try {
    return manifestSchema.parse(JSON.parse(text));
  } catch (error) {
    throw malformed(manifestPath, error);
  }
}

export async function readStateFile(reader: RecoveryReader, path: string, signal: AbortSignal): Promise<Buffer> {
  const parts: Buffer[] = [];
  let sizeBytes = 0;
  for await (const part of reader.read(path, signal)) {
    sizeBytes += part.length;
    if (sizeBytes > fileSizeMaxBytes) throw malformed(path, new Error(`it is larger than ${fileSizeMaxBytes} bytes`));
    parts.push(part);
  }
  return Buffer.concat(parts);
}

/** Rejects with `REPOSITORY_DAMAGED` where they are not as many as the manifest says. */
export async function* readRows(
  reader: RecoveryReader,
  {
    table,
    manifest,
    signal,
  }: { readonly table: string; readonly manifest: StateManifest; readonly signal: AbortSignal },
): AsyncGenerator<CatalogRow> {
  const expected = manifest.rows[table];
  const path = tablePath(table);
  let found = 0;
  for await (const line of linesOf(reader.read(path, signal), path)) {
    found += 1;
    yield rowOf(line, path);
  }
  if (found !== expected) throw malformed(path, new Error(`it has ${found} rows in place of ${expected}`));
}

function rowOf(line: string, path: string): CatalogRow {
  try {
    const row: unknown = JSON.parse(line);
    if (typeof row === 'object' && row !== null && !Array.isArray(row)) return row as CatalogRow;
    throw new Error('a line is no row');
  } catch (error) {
    throw malformed(path, error);
  }
}

async function* linesOf(pieces: AsyncIterable<Uint8Array>, path: string): AsyncGenerator<string> {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  let rest = '';
  for await (const piece of pieces) {
    const lines = (rest + decoder.decode(piece, { stream: true })).split('\n');
    rest = lines.pop() ?? '';
    if (rest.length > lineMaxLength) throw malformed(path, new Error('a line is too long'));
    yield* lines;
  }
  if (rest !== '') throw malformed(path, new Error('its last line has no end'));
}

function malformed(path: string, cause: unknown): AppError {
  return new AppError('REPOSITORY_DAMAGED', `${path} of the backup is malformed: ${messageOf(cause)}`, {
    hint: "Recover an earlier one: 'lifeboat snapshots --component _service' lists them.",
    cause,
  });
}
