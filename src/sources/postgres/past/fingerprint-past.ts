// The fingerprint of a server that stands at the instant of a backup: to be compared with what that backup found.
import type { JsonObject } from '../../../base/json.ts';
import { AppError } from '../../../base/errors.ts';
import type { Fingerprint } from '../../../model/fingerprint.ts';
import type { PastServer } from '../../explore.ts';
import { readPhysicalFacts } from '../physical/facts.ts';
import { fingerprintCopy } from '../physical/physical-rows.ts';
import { parseLsn } from '../wal/lsn.ts';

export async function fingerprintPast(
  { access, reached }: PastServer,
  facts: JsonObject,
  signal: AbortSignal,
): Promise<Fingerprint> {
  const { fingerprint, consistentLsn } = readPhysicalFacts(facts);
  if (fingerprint === null) {
    throw new AppError('INCONCLUSIVE', 'the backup was taken without a fingerprint', {
      hint: 'See the notes of the backup for the reason.',
    });
  }
  const [at, due] = [parseLsn(reached.position), parseLsn(consistentLsn)];
  if (at !== undefined && due !== undefined && at > due) {
    throw new AppError('RESTORE_FAILED', `the server replayed to ${reached.position}, beyond ${consistentLsn}`, {
      hint: 'This is a defect of Lifeboat: please report it.',
    });
  }
  return fingerprintCopy({ ...access, ssl: { mode: 'disable' } }, fingerprint, signal);
}
