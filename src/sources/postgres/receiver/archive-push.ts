// What archive_command calls: looks whether a file is what its name says and belongs to the server whose journal this is, and keeps
// it. Opens no repository and connects to nothing, so that the server is not held up.
import { open, readFile, stat } from 'node:fs/promises';
import { basename } from 'node:path';
import { AppError, errnoOf, messageOf } from '../../../base/errors.ts';
import { longHeaderBytes, majorOfMagic, readSegmentHeader } from '../wal/page-header.ts';
import { segmentProblem } from '../wal/segment-header.ts';
import { isSegmentSize, parseWalFileName } from '../wal/segment-name.ts';
import { parseTimelineHistory } from '../wal/timeline-history.ts';
import { IncomingFolder, type System } from './incoming-folder.ts';

const backupHistoryForm = /^[0-9A-F]{24}\.[0-9A-F]{8}\.backup$/;
const historyForm = /^([0-9A-F]{8})\.history$/;

/** Resolves once the file is durable in the folder. What can't be accepted rejects, and the server keeps it. */
export async function acceptFile(path: string, folder: string): Promise<'kept' | 'known'> {
  const name = basename(path);
  // A note beside a backup for people; whatever it says is in the backup itself.
  if (backupHistoryForm.test(name)) return 'known';
  const incoming = await IncomingFolder.open(folder);
  const [, timeline] = historyForm.exec(name) ?? [];
  if (timeline !== undefined) {
    parseTimelineHistory(Number.parseInt(timeline, 16), await read(path));
    return incoming.keep(path);
  }
  const known = await incoming.system();
  const system = await systemOf(path, name, known);
  await checkSystem(path, name, known ?? (await incoming.keepSystem(system)));
  return incoming.keep(path);
}

/** Of the server that wrote the segment, going by its first page. */
async function systemOf(path: string, name: string, known: System | undefined): Promise<System> {
  const start = await readStart(path);
  if (start.length < longHeaderBytes) throw refused(name, `only ${start.length} bytes, too few for a segment`);
  const { magic, segmentBytes, systemIdentifier } = readSegmentHeader(start);
  const major = majorOfMagic(magic);
  if (major === undefined) {
    const problem = known && segmentProblem(start, { ...expectation(known), timeline: 1, segment: 0 });
    throw refused(name, problem ?? `it begins with ${magic.toString(16)}, which no WAL of PostgreSQL 14 to 18 does`);
  }
  if (!isSegmentSize(segmentBytes)) throw refused(name, `it says that segments have ${segmentBytes} bytes`);
  return { systemIdentifier: systemIdentifier.toString(), segmentBytes, major };
}

async function checkSystem(path: string, name: string, system: System): Promise<void> {
  const parsed = parseWalFileName(name, system.segmentBytes);
  if (parsed?.kind !== 'segment' && parsed?.kind !== 'partial') throw refused(name, 'no file of a WAL has such a name');
  const { timeline, segment } = parsed;
  const problem = segmentProblem(await readStart(path), { ...expectation(system), timeline, segment });
  if (problem !== undefined) throw refused(name, problem);
  const { size } = await stat(path);
  if (size !== system.segmentBytes) throw refused(name, `it has ${size} bytes, not ${system.segmentBytes}`);
}

function expectation({ systemIdentifier, segmentBytes, major }: System) {
  return { systemIdentifier: BigInt(systemIdentifier), segmentBytes, major };
}

async function readStart(path: string): Promise<Buffer> {
  return reading(path, async () => {
    await using file = await open(path, 'r');
    const bytes = Buffer.alloc(longHeaderBytes);
    const { bytesRead } = await file.read(bytes, 0, bytes.length, 0);
    return bytes.subarray(0, bytesRead);
  });
}

function read(path: string): Promise<Buffer> {
  return reading(path, () => readFile(path));
}

async function reading<T>(path: string, act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    throw new AppError('SOURCE_FAILED', `${path} can't be read: ${messageOf(error)}`, {
      hint: 'Give %p of archive_command, and run this as the user of the server in its data directory.',
      cause: error,
    });
  }
}

function refused(name: string, problem: string): AppError {
  return new AppError('SOURCE_FAILED', `${name} is not taken: ${problem}`, {
    hint: 'Look whether archive_command of another server, or of a copy, names this component.',
  });
}
