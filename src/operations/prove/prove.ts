// A proof: restore a recovery point into a throw-away place, compare what came back with what was backed up, run the
// configured checks. Three outcomes: passed, failed, inconclusive. The place is cleaned away in any case.
import { count } from '../../base/count.ts';
import { isAppError, messageOf } from '../../base/errors.ts';
import { compareFingerprints } from '../../model/fingerprint.ts';
import { differencesMax, type Proof, type ProofOutcome } from '../../model/proof.ts';
import type { RecoveryReader, Sandbox, Source } from '../../sources/source.ts';
import { recoveryReader } from '../restore/recovery-reader.ts';
import { runCheck, type CheckResult, type Evidence, type ProveRequest } from './evidence.ts';
import { proveTree } from './prove-tree.ts';
import { throwAwayFolder } from './throw-away-folder.ts';

/** Never rejects for what a proof is to find out: a restore that fails is a failed proof, a missing tool an inconclusive one. */
export async function prove(request: ProveRequest, signal: AbortSignal): Promise<Proof> {
  const startedMs = request.clock.now();
  let evidence: Evidence = { sandbox: '', restoredBytes: 0, compared: 0, rows: 0, differences: [], checks: [] };
  let verdict: { outcome: ProofOutcome; message: string };
  const leftBehind: string[] = [];
  try {
    const { restore } = request.source;
    await using place = await throwAwayPlace(request, { restore, signal, leftBehind });
    evidence = await place.prove();
    verdict = judge(evidence);
  } catch (error) {
    signal.throwIfAborted();
    verdict = { outcome: isOurInability(error) ? 'inconclusive' : 'failed', message: messageOf(error) };
  }
  verdict.message = [verdict.message, ...leftBehind].join('; ');
  const { snapshot, component, program, clock } = request;
  const { differences, checks, incomparable: _, ...rest } = evidence;
  return {
    version: 1,
    component,
    tree: snapshot.tree,
    snapshot: snapshot.id,
    time: new Date(startedMs).toISOString(),
    ...verdict,
    ...rest,
    durationSeconds: (clock.now() - startedMs) / 1000,
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
  const sandbox = await restore.sandbox(reader, signal);
  return { ...disposing(sandbox), prove: () => proveService(request, { reader, sandbox, signal }) };
}

/** The data may be fine: we could not look at it here. */
function isOurInability(error: unknown): boolean {
  return isAppError(
    error,
    'TOOL_MISSING',
    'TARGET_SPACE',
    'STORE_FULL',
    'STORE_UNREACHABLE',
    'STORE_DENIED',
    'INCONCLUSIVE',
    'TIMED_OUT',
    'REPOSITORY_LOCKED',
  );
}

function judge(evidence: Evidence): { outcome: ProofOutcome; message: string } {
  const { differences, checks, compared, rows, incomparable } = evidence;
  const first = differences[0];
  if (first !== undefined) {
    return { outcome: 'failed', message: `${count(differences.length, 'difference')}, the first: ${describe(first)}` };
  }
  const failed = checks.find(({ outcome }) => outcome === 'failed');
  if (failed !== undefined) return { outcome: 'failed', message: `the check '${failed.check}' found ${failed.value}` };
  if (incomparable !== undefined) return { outcome: 'inconclusive', message: incomparable };
  const unclear = checks.find(({ outcome }) => outcome === 'inconclusive');
  if (unclear !== undefined)
    return { outcome: 'inconclusive', message: `the check '${unclear.check}': ${unclear.value}` };
  return {
    outcome: 'passed',
    message: `${count(compared, 'item')} with ${count(rows, 'row')} came back as ${compared === 1 ? 'it was' : 'they were'}`,
  };
}

function describe({ name, kind, rowsExpected, rowsFound, detail }: Evidence['differences'][number]): string {
  if (detail !== undefined) return `${name}: ${detail}`;
  if (kind === 'changed' && rowsExpected === rowsFound)
    return `${name} has ${count(rowsFound, 'row')} as it should, but not the same`;
  return `${name} has ${count(rowsFound, 'row')} instead of ${rowsExpected}${kind === 'changed' ? '' : ` (${kind})`}`;
}

async function proveService(
  request: ProveRequest,
  { reader, sandbox, signal }: { reader: RecoveryReader; sandbox: Sandbox; signal: AbortSignal },
): Promise<Evidence> {
  const expected = await reader.fingerprint(signal);
  const counted = countingReader(reader);
  await sandbox.restore(counted.reader, signal);
  const checks: CheckResult[] = [];
  for (const check of request.checks) checks.push(await runCheck(check, () => sandbox.valueOf(check, signal)));
  const base = { sandbox: sandbox.description, restoredBytes: counted.bytes(), checks };
  if (expected === undefined) {
    return {
      ...base,
      compared: 0,
      rows: 0,
      differences: [],
      incomparable: 'the snapshot holds no fingerprint to compare with',
    };
  }
  const found = await sandbox.fingerprint(signal);
  const rows = expected.items.reduce((sum, item) => sum + item.rows, 0);
  if (found.method !== expected.method) {
    const incomparable = `the fingerprint was made by method '${expected.method}', this program knows '${found.method}'`;
    return { ...base, compared: 0, rows: 0, differences: [], incomparable };
  }
  const differences = compareFingerprints(expected, found, request.clock.now());
  return { ...base, compared: expected.items.length, rows, differences };
}

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
      entries: (signal) => reader.entries(signal),
      facts: (signal) => reader.facts(signal),
      fingerprint: (signal) => reader.fingerprint(signal),
    },
    bytes: () => total,
  };
}
