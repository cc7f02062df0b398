// Looks at a spool without touching it, whether or not a receiver is at work in it.
import { open, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf, isAppError } from '../../base/errors.ts';
import type { JsonObject } from '../../base/json.ts';
import type { JournalBranch, JournalGap, JournalPosition } from '../../sources/journal.ts';
import { readBranchFile } from './branch-file.ts';
import { laterOf } from './positions.ts';
import { decodeLog } from './segment-log.ts';
import { spoolError } from './spool-errors.ts';

export interface SpoolLook {
  readonly usedBytes: number;
  /** Who has it, or had it last: `process 12 on db-1 since …`; for people. */
  readonly owner: string | undefined;
  /** In the order in which they were opened first. */
  readonly branches: readonly LookedAtBranch[];
}

export interface LookedAtBranch extends JournalBranch {
  /** Where the journal goes on; undefined if nothing came yet. */
  readonly end: JournalPosition | undefined;
  /** Of the newest segment. */
  readonly facts: JsonObject;
  readonly gaps: readonly JournalGap[];
}

/** Undefined if there is none. */
export async function lookAtSpool(folder: string): Promise<SpoolLook | undefined> {
  try {
    const names = (await readdir(folder)).filter((name) => name.startsWith('branch-'));
    const looked = await Promise.all(names.map((name) => lookAtBranch(join(folder, name))));
    const found = looked.flatMap((one) => one ?? []).toSorted((left, right) => left.openedAtMs - right.openedAtMs);
    return {
      usedBytes: found.reduce((sum, { usedBytes }) => sum + usedBytes, 0),
      owner: await ownerOf(folder),
      branches: found.map(({ branch }) => branch),
    };
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw isAppError(error) || errnoOf(error) === undefined ? error : spoolError(error, `look at the spool ${folder}`);
  }
}

async function ownerOf(folder: string): Promise<string | undefined> {
  try {
    return (await readFile(join(folder, 'owner.txt'), 'utf8')).trim();
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

async function lookAtBranch(folder: string) {
  try {
    const { lineage, segmentBytes, about, openedAtMs, resume, gaps } = await readBranchFile(
      join(folder, 'branch.json'),
    );
    const files = (await readdir(folder)).filter((name) => /^\d{16}\.segment$/.test(name)).toSorted();
    let usedBytes = 0;
    let newest: LookedAtSegment | undefined;
    for (const name of files) {
      const looked = await lookAtSegment(join(folder, name), Number(name.slice(0, 16)), segmentBytes);
      usedBytes += looked?.sizeBytes ?? 0;
      if (looked !== undefined && looked.sizeBytes > 0) newest = looked;
    }
    const branch: LookedAtBranch = {
      lineage,
      segmentBytes,
      about,
      gaps,
      facts: newest?.facts ?? {},
      end: laterOf(newest && endOf(newest), resume),
    };
    return { branch, openedAtMs, usedBytes };
  } catch (error) {
    // Being made, or removed.
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

interface LookedAtSegment {
  readonly segment: number;
  readonly sizeBytes: number;
  readonly isSealed: boolean;
  readonly facts: JsonObject;
}

const endOf = ({ segment, sizeBytes, isSealed }: LookedAtSegment): JournalPosition =>
  isSealed ? { segment: segment + 1, offset: 0 } : { segment, offset: sizeBytes };

/** Undefined if it was shipped and removed just now. */
async function lookAtSegment(
  path: string,
  segment: number,
  segmentBytes: number,
): Promise<LookedAtSegment | undefined> {
  try {
    await using file = await open(path, 'r');
    const { size } = await file.stat();
    const bytes = Buffer.alloc(Math.max(0, size - segmentBytes));
    const { bytesRead } = await file.read(bytes, 0, bytes.length, segmentBytes);
    const { records } = decodeLog(bytes.subarray(0, bytesRead), segment);
    const extent = records.findLast((record) => record.kind === 'extent');
    const described = records.findLast((record) => record.kind !== 'extent');
    return {
      segment,
      sizeBytes: extent?.endBytes ?? 0,
      isSealed: records.at(-1)?.kind === 'seal',
      facts: described?.facts ?? {},
    };
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}
