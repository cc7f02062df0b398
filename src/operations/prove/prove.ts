// A proof: restore a recovery point into a throw-away place, compare what came back with what was backed up, run the
// configured checks. Three outcomes: passed, failed, inconclusive. The place is cleaned away in any case.
import { count } from '../../base/count.ts';
import { isAppError, messageOf } from '../../base/errors.ts';
import { compareFingerprints, hasExpired, type Fingerprint } from '../../model/fingerprint.ts';
import { contentOf, contentWords, type ItemUnit } from '../../model/proof-content.ts';
import { differencesMax, type Proof, type ProofOutcome } from '../../model/proof.ts';
import { measureBy } from '../../model/sentinel.ts';
import type { RecoveryReader, Sandbox, ServiceRestore, Source } from '../../sources/source.ts';
import { recoveryReader } from '../restore/recovery-reader.ts';
import { runCheck, type CheckResult, type Evidence, type ProveRequest } from './evidence.ts';
import { proveTree } from './prove-tree.ts';
import { throwAwayFolder } from './throw-away-folder.ts';

/** Never rejects for what a proof is to find out: a restore that fails is a failed proof, a missing tool an inconclusive one. */
export async function prove(request: ProveRequest, signal: AbortSignal): Promise<Proof> {
  const startedMs = request.clock.now();
  let evidence: Evidence = { sandbox: '', restoredBytes: 0, ...nothingCompared, checks: [] };
  let verdict: { outcome: ProofOutcome; message: string };
  const leftBehind: string[] = [];
  try {
    const { restore } = request.source;
    await using place = await throwAwayPlace(request, { restore, signal, leftBehind });
    evidence = await place.prove();
    verdict = judge(evidence, request.source.restore);
  } catch (error) {
    signal.throwIfAborted();
    verdict = { outcome: isOurInability(error) ? 'inconclusive' : 'failed', message: messageOf(error) };
  }
  verdict.message = [verdict.message, ...leftBehind].join('; ');
  const { snapshot, component, program, clock } = request;
  const { differences, checks, content, incomparable: _, remark: __, ...rest } = evidence;
  return {
    version: 1,
    component,
    tree: snapshot.tree,
    snapshot: snapshot.id,
    time: new Date(startedMs).toISOString(),
    ...verdict,
    ...rest,
    durationSeconds: (clock.now() - startedMs) / 1000,
    content: [...content],
    differences: differences.slice(0, differencesMax),
    checks: [...checks],
    program,
  };
}

interface ThrowAwayPlace extends AsyncDisposable {
  prove(): Promise<Evidence>;
}

/** What can't be cleaned away changes nothing about the data: it is told beside the verdict. */
async function throwAwayPlace(
  request: ProveRequest,
  { restore, signal, leftBehind }: { restore: Source['restore']; signal: AbortSignal; leftBehind: string[] },
): Promise<ThrowAwayPlace> {
  const disposing = (place: AsyncDisposable): AsyncDisposable => ({
    async [Symbol.asyncDispose]() {
      try {
        await place[Symbol.asyncDispose]();
      } catch (error) {
        leftBehind.push(`what it was restored into could not be cleaned away: ${messageOf(error)}`);
      }
    },
  });
  if (restore.kind === 'tree') {
    const folder = await throwAwayFolder(request.workFolder);
    return { ...disposing(folder), prove: () => proveTree(request, folder.path, signal) };
  }
  const reader = recoveryReader(request);
  const unitOf = (name: string): ItemUnit => restore.unitOf(name);
  const sandbox = await restore.sandbox(reader, signal);
  return { ...disposing(sandbox), prove: () => proveService(request, { reader, sandbox, unitOf, signal }) };
}

/** The data may be fine: we could not look at it here. */
export function isOurInability(error: unknown): boolean {
  return isAppError(
    error,
    'TOOL_MISSING',
    'TARGET_SPACE',
    'STORE_FULL',
    'STORE_UNREACHABLE',
    'STORE_DENIED',
    'STORE_FAILED',
    'INCONCLUSIVE',
    'TIMED_OUT',
    'REPOSITORY_LOCKED',
  );
}

export function judge(evidence: Evidence, restore: Source['restore']): { outcome: ProofOutcome; message: string } {
  const { differences, checks, content, incomparable, remark } = evidence;
  const first = differences[0];
  if (first !== undefined) {
    const found = count(differences.length, 'difference');
    return { outcome: 'failed', message: `${found}, the first: ${describe(first, restore)}` };
  }
  const failed = checks.find(({ outcome }) => outcome === 'failed');
  if (failed !== undefined) return { outcome: 'failed', message: `the check '${failed.check}' found ${failed.value}` };
  if (incomparable !== undefined) return { outcome: 'inconclusive', message: incomparable };
  const unclear = checks.find(({ outcome }) => outcome === 'inconclusive');
  if (unclear !== undefined)
    return { outcome: 'inconclusive', message: `the check '${unclear.check}': ${unclear.value}` };
  const message = `${contentWords(content)} came back as they were`;
  return { outcome: 'passed', message: remark === undefined ? message : `${message}; ${remark}` };
}

function describe(
  { name, kind, rowsExpected, rowsFound, detail }: Evidence['differences'][number],
  restore: Source['restore'],
): string {
  if (detail !== undefined || restore.kind === 'tree') return `${name}: ${detail ?? kind}`;
  const found = count(rowsFound, restore.unitOf(name).unit);
  if (kind === 'changed' && rowsExpected === rowsFound) return `${name} has ${found} as it should, but not the same`;
  return `${name} has ${found} instead of ${rowsExpected}${kind === 'changed' ? '' : ` (${kind})`}`;
}

interface ServiceProof {
  readonly reader: RecoveryReader;
  readonly sandbox: Sandbox;
  readonly unitOf: ServiceRestore['unitOf'];
  readonly signal: AbortSignal;
}

async function proveService(
  request: ProveRequest,
  { reader, sandbox, unitOf, signal }: ServiceProof,
): Promise<Evidence> {
  const expected = await reader.fingerprint(signal);
  const counting = countingReader(reader);
  await sandbox.restore(counting.reader, signal);
  const checks: CheckResult[] = [];
  for (const check of request.checks) checks.push(await runCheck(check, () => sandbox.valueOf(check, signal)));
  const sentinel = await sandbox.newestSentinel?.(signal);
  const base = {
    sandbox: sandbox.description,
    restoredBytes: counting.bytes(),
    checks,
    ...(sentinel && { sentinel: measureBy(sentinel.writtenMs, sentinel.instantMs) }),
  };
  if (expected === undefined) {
    return { ...base, ...nothingCompared, incomparable: 'the snapshot holds no fingerprint to compare with' };
  }
  const found = await sandbox.fingerprint(signal);
  if (found.method !== expected.method) {
    const incomparable = `the fingerprint was made by method '${expected.method}', this program knows '${found.method}'`;
    return { ...base, ...nothingCompared, incomparable };
  }
  const nowMs = request.clock.now();
  const differences = compareFingerprints(expected, found, nowMs);
  return { ...base, ...countsOf(expected, { unitOf, nowMs }), differences };
}

export const nothingCompared = { compared: 0, rows: 0, content: [], differences: [] } as const;

/** Counts what was compared only: keys that may have expired since the backup say nothing. */
export function countsOf(
  { items }: Fingerprint,
  { unitOf, nowMs }: { readonly unitOf: ServiceRestore['unitOf']; readonly nowMs: number },
): Pick<Evidence, 'compared' | 'rows' | 'content' | 'remark'> {
  const lasting = items.filter((item) => !hasExpired(item, nowMs));
  const content = contentOf(lasting, unitOf);
  const expired = items.reduce((sum, item) => sum + (hasExpired(item, nowMs) ? item.rows : 0), 0);
  return {
    compared: lasting.length,
    rows: content.reduce((sum, one) => sum + (isRow.test(one.what) ? one.count : 0), 0),
    content,
    ...(expired > 0 && { remark: `without ${count(expired, 'key')} that may have expired since the backup` }),
  };
}

/** What a service's data consists of, in contrast to what it is arranged by. */
const isRow = /^row$|key$/;

function countingReader(reader: RecoveryReader): { readonly reader: RecoveryReader; bytes(): number } {
  let total = 0;
  async function* read(path: string, signal: AbortSignal): AsyncGenerator<Buffer> {
    for await (const bytes of reader.read(path, signal)) {
      total += bytes.length;
      yield bytes;
    }
  }
  return {
    reader: {
      read,
      writeFolder(request, signal) {
        const onBytes = (more: number): void => {
          total += more;
          request.onBytes?.(more);
        };
        return reader.writeFolder({ ...request, onBytes }, signal);
      },
      entries: (signal) => reader.entries(signal),
      facts: (signal) => reader.facts(signal),
      fingerprint: (signal) => reader.fingerprint(signal),
    },
    bytes: () => total,
  };
}
