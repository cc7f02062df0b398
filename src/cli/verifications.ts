// What a repository knows of verifications that found it intact: sealed notes, one for each run that nothing supersedes.
import { isAppError } from '../base/errors.ts';
import { supersedes, verificationSchema, type VerificationRecord } from '../model/verification.ts';
import { readNotes, removeNote, writeNote } from '../repository/note.ts';
import type { Repository } from '../repository/repository.ts';

const purpose = 'verification';
/** They are about the repository as a whole. */
const subject = 'repository';

async function readRecords(repository: Repository, signal: AbortSignal) {
  const { notes } = await readNotes(repository, { purpose, subject }, signal);
  return notes.flatMap(({ name, json }) => {
    const parsed = verificationSchema.safeParse(json);
    return parsed.success ? [{ name, record: parsed.data }] : [];
  });
}

/** Oldest first. Notes that no longer read as verifications say nothing, so they are left out. */
export async function loadVerifications(repository: Repository, signal: AbortSignal): Promise<VerificationRecord[]> {
  return (await readRecords(repository, signal)).map(({ record }) => record);
}

/** Returns why it could not be recorded where nothing may be written: that must not spoil the verification itself. */
export async function saveVerification(
  repository: Repository,
  record: VerificationRecord,
  signal: AbortSignal,
): Promise<string | undefined> {
  try {
    const older = await readRecords(repository, signal);
    const json = JSON.parse(JSON.stringify(record)) as Parameters<typeof writeNote>[1]['json'];
    await writeNote(repository, { purpose, subject, json }, signal);
    for (const { name, record: old } of older) {
      if (supersedes(record, old)) await removeNote(repository, name, signal);
    }
    return undefined;
  } catch (error) {
    if (!isAppError(error, 'STORE_READ_ONLY', 'STORE_DENIED', 'STORE_FULL')) throw error;
    return error.message;
  }
}
