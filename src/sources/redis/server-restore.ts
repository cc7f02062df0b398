// Carries out what `server-decision.ts` decided.
import { compareNames } from '../../base/byte-name.ts';
import type { Clock } from '../../base/clock.ts';
import { count } from '../../base/count.ts';
import { AppError, isAppError, messageOf, restoreFailureCode } from '../../base/errors.ts';
import { interruptedWith } from '../../base/interrupted.ts';
import { compareFingerprints, type Fingerprint } from '../../model/fingerprint.ts';
import type { Finding } from '../../model/finding.ts';
import type { RecoveryReader, RestoreDecision, RestoreOutcome, RestoreProgress } from '../source.ts';
import { refusedIfKnown, rightsHint } from './access-rights.ts';
import { addressText, connectRedis, redisError, type RedisAddress, type RedisConnection } from './connection.ts';
import { writeKeys, type WrittenKeys } from './key-writer.ts';
import { RdbCheck } from './rdb-check.ts';
import { databaseOf, type RecoveryPoint } from './recovery-point.ts';
import { summaryOf } from './redis-sandbox.ts';
import { dumpPath } from './redis-session.ts';
import { decideServerRestore, type ServerDecision } from './server-decision.ts';
import { majorVersion, serverInfo, setting, type ServerInfo } from './server-facts.ts';

export interface ServerRestoreOptions {
  readonly reader: RecoveryReader;
  readonly point: RecoveryPoint;
  readonly address: RedisAddress;
  readonly include: readonly number[];
  readonly clock: Clock;
}

const cleanupMaxMs = 60_000;

export async function serverRestore(options: ServerRestoreOptions, signal: AbortSignal): Promise<RestoreDecision> {
  const { address, point, include } = options;
  const target = `redis at ${addressText(address)}`;
  let decision: ServerDecision;
  let rights: readonly Finding[];
  try {
    await using connection = await connectRedis(address, signal);
    const databases = await setting(connection, 'databases');
    const databaseCount = databases === undefined ? undefined : Number(databases);
    const info = await serverInfo(connection);
    decision = decideServerRestore({ point, include, databaseCount, info });
    rights = await rightsFindings(connection, { address, hasFunctions: hasFunctions(options), info });
  } catch (error) {
    if (!isAppError(error)) throw error;
    const findings = [{ aspect: 'connection', outcome: 'failed', message: error.message, hint: error.hint }] as const;
    return { target, steps: [`write keys into ${target}`], findings, execute: () => Promise.reject(error) };
  }
  decision = { ...decision, findings: [...decision.findings, ...rights] };
  const run = new ServerRestore(options, decision);
  return {
    target,
    replaces: decision.replaces,
    steps: run.steps.map(({ text }) => text),
    findings: decision.findings,
    execute: (progress, executeSignal) => run.execute(progress, executeSignal),
  };
}

/** Functions belong to no database, so they come with all of them or not at all. */
function hasFunctions({ point, include }: ServerRestoreOptions): boolean {
  return include.length === 0 && point.fingerprint?.items.some(({ name }) => name === 'functions') === true;
}

/** A user who may write but not swap would leave the work half done. */
async function rightsFindings(
  connection: RedisConnection,
  target: { readonly address: RedisAddress; readonly hasFunctions: boolean; readonly info: ServerInfo },
): Promise<Finding[]> {
  const user = target.address.username ?? 'default';
  const refused =
    (await refusedIfKnown(connection, user, 'restore')) ??
    (target.hasFunctions ? await refusedIfKnown(connection, user, 'functions') : undefined);
  if (refused === undefined) return [];
  const message = `user ${user} may not ${refused}`;
  return [{ aspect: 'access rights', outcome: 'failed', message, hint: rightsHint(user, majorVersion(target.info)) }];
}

interface Step {
  readonly text: string;
  run(connection: RedisConnection, progress: RestoreProgress, signal: AbortSignal): Promise<void>;
}

class ServerRestore {
  readonly #options: ServerRestoreOptions;
  readonly #decision: ServerDecision;
  #written: WrittenKeys = { keys: new Map(), functions: [] };
  #hasBegun = false;
  #isSwapped = false;
  readonly steps: readonly Step[];

  constructor(options: ServerRestoreOptions, decision: ServerDecision) {
    this.#options = options;
    this.#decision = decision;
    const pairs = decision.databases.map(({ index, writtenTo }) => `db${index} by way of db${writtenTo}`).join(', ');
    const all = decision.databases.map(({ index }) => `db${index}`).join(', ');
    const read: Step = {
      text: 'read and check the whole recovery point',
      run: (_, progress, signal) => this.#checkPoint(progress, signal),
    };
    const remove: Step = { text: `delete all keys of ${all}`, run: (connection) => this.#deleteAll(connection) };
    const write: Step = {
      text: decision.mode === 'beside' ? `write ${pairs}` : `write the keys of ${all}`,
      run: (connection, progress, signal) => this.#write(connection, progress, signal),
    };
    const verify: Step = {
      text: 'compare what is there with the recovery point',
      run: (connection, _, signal) => this.#verify(connection, signal),
    };
    const swap: Step = {
      text: 'swap old and new databases at one instant',
      run: (connection) => this.#swap(connection),
    };
    const functions: Step = {
      text: 'load the functions of the recovery point over those of the same name',
      run: (connection) => this.#loadFunctions(connection),
    };
    const data = {
      beside: [write, verify, swap],
      replace: [read, remove, write, verify],
      fill: [write, verify],
    }[decision.mode];
    this.steps = hasFunctions(options) ? [...data, functions] : data;
  }

  async execute(progress: RestoreProgress, signal: AbortSignal): Promise<RestoreOutcome> {
    const failed = this.#decision.findings.find(({ outcome }) => outcome === 'failed');
    if (failed !== undefined) {
      throw new AppError('TARGET_UNSAFE', failed.message, { hint: failed.hint ?? 'Choose another target.' });
    }
    await using connection = await connectRedis(this.#options.address, signal);
    let running = this.steps[0];
    try {
      for (const [index, step] of this.steps.entries()) {
        running = step;
        progress.step(index);
        if (index === 0) await this.#demandEmpty(connection);
        await step.run(connection, progress, signal);
      }
    } catch (error) {
      throw await this.#giveUp(error, running?.text ?? '', signal);
    }
    return this.#outcome();
  }

  #outcome(): RestoreOutcome {
    const restored = this.#decision.databases.map(
      ({ index }) => `db${index}: ${keyWords(this.#written.keys.get(index) ?? new Map())}`,
    );
    const kept = this.#decision.databases.filter(({ keysBefore }) => keysBefore > 0);
    if (this.#decision.mode !== 'beside' || kept.length === 0) return { restored };
    const places = kept.map(({ index, writtenTo }) => `of db${index} in db${writtenTo}`).join(', ');
    const removal = kept.map(({ writtenTo }) => `redis-cli -n ${writtenTo} FLUSHDB`).join('; ');
    return { restored, kept: `the earlier keys ${places}, and in backups from now on; remove them with: ${removal}` };
  }

  /** Someone may have begun to use a database since the decision; nothing of theirs may be overwritten or removed. */
  async #demandEmpty(connection: RedisConnection): Promise<void> {
    if (this.#decision.mode === 'replace') return;
    for (const { writtenTo } of this.#decision.databases) {
      await connection.call('SELECT', writtenTo);
      const keys = Number(await connection.text('DBSIZE'));
      if (keys === 0) continue;
      throw new AppError('TARGET_UNSAFE', `db${writtenTo} was empty and now has ${keys} keys`, {
        hint: 'Stop what writes to the target and decide again.',
      });
    }
    this.#hasBegun = true;
  }

  async #checkPoint(progress: RestoreProgress, signal: AbortSignal): Promise<void> {
    const expected = this.#options.point.fingerprint;
    const check = new RdbCheck(expected);
    for await (const bytes of this.#options.reader.read(dumpPath, signal)) {
      check.push(bytes);
      progress.bytes(bytes.length);
    }
    const { fingerprint } = check.finish();
    // The same bytes: whatever expires, they must be equal altogether.
    if (expected !== undefined && fingerprint !== undefined) failOnDifference(expected, fingerprint, -Infinity);
  }

  async #deleteAll(connection: RedisConnection): Promise<void> {
    this.#hasBegun = true;
    for (const { index } of this.#decision.databases) {
      await connection.call('SELECT', index);
      await connection.call('FLUSHDB');
    }
  }

  async #write(connection: RedisConnection, progress: RestoreProgress, signal: AbortSignal): Promise<void> {
    const places = new Map(this.#decision.databases.map(({ index, writtenTo }) => [index, writtenTo]));
    this.#written = await writeKeys(this.#options.reader.read(dumpPath, signal), {
      connection,
      clock: this.#options.clock,
      databaseFor: (index) => places.get(index),
      progress: (more) => progress.bytes(more),
    });
  }

  /** By fingerprint where the target lets us replicate; by number of keys where it doesn't. */
  async #verify(connection: RedisConnection, signal: AbortSignal): Promise<void> {
    const { address, point, clock } = this.#options;
    const expected = this.#expected(point.fingerprint);
    try {
      const { fingerprint } = await summaryOf(address, signal, point.fingerprint);
      if (fingerprint !== undefined) failOnDifference(expected, this.#found(fingerprint), clock.now());
      if (fingerprint !== undefined) return;
    } catch (error) {
      if (!isAppError(error, 'SOURCE_DENIED', 'SOURCE_UNSUPPORTED')) throw error;
    }
    for (const { index, writtenTo } of this.#decision.databases) {
      await connection.call('SELECT', writtenTo);
      const found = Number(await connection.text('DBSIZE'));
      const items = expected.items.filter(({ name }) => databaseOf(name) === index);
      const most = items.reduce((sum, { rows }) => sum + rows, 0);
      const mayExpire = items.reduce((sum, { rows, expiresAtMs }) => sum + (expiresAtMs === undefined ? 0 : rows), 0);
      if (found > most || found < most - mayExpire) throw differs(`db${index}: ${found} keys of ${most}`);
    }
  }

  /** Of the recovery point, what belongs to the databases to restore. */
  #expected(fingerprint: Fingerprint | undefined): Fingerprint {
    const wanted = new Set(this.#decision.databases.map(({ index }) => index));
    const items = fingerprint?.items.filter(({ name }) => wanted.has(databaseOf(name) ?? -1)) ?? [];
    return { version: 1, method: fingerprint?.method ?? '', items };
  }

  /** Of the target, what was written, under the names it will have. */
  #found(fingerprint: Fingerprint): Fingerprint {
    const names = new Map(this.#decision.databases.map(({ index, writtenTo }) => [writtenTo, index]));
    const items = fingerprint.items.flatMap((item) => {
      const index = names.get(databaseOf(item.name) ?? -1);
      return index === undefined ? [] : [{ ...item, name: item.name.replace(/^db\d+/, `db${index}`) }];
    });
    return { ...fingerprint, items };
  }

  async #swap(connection: RedisConnection): Promise<void> {
    const { databases } = this.#decision;
    const answers = [connection.call('MULTI')];
    for (const { index, writtenTo } of databases) answers.push(connection.call('SWAPDB', index, writtenTo));
    answers.push(connection.call('EXEC'));
    // Without an answer the old may be in the place of the new, so nothing is removed any more.
    this.#isSwapped = true;
    try {
      const results = (await Promise.all(answers)).at(-1);
      const refused = Array.isArray(results) ? results.find((result) => result instanceof Error) : undefined;
      if (refused !== undefined) throw redisError(refused, this.#options.address);
    } catch (error) {
      // A command refused while the transaction is put together ends all of it.
      if (messageOf(error).includes('EXECABORT') || isAppError(error, 'SOURCE_DENIED')) this.#isSwapped = false;
      throw error;
    }
  }

  async #loadFunctions(connection: RedisConnection): Promise<void> {
    for (const code of this.#written.functions) await connection.call('FUNCTION', 'LOAD', 'REPLACE', code);
  }

  /** Says how the target was left; takes back what was written beside. */
  async #giveUp(error: unknown, step: string, signal: AbortSignal): Promise<unknown> {
    const { mode, databases } = this.#decision;
    const again = signal.aborted ? 'Restore again.' : 'Remove the cause and restore again.';
    let left = 'the keys may be in place in part';
    let hint = 'Keep applications away from the target and restore again.';
    if (!this.#hasBegun) {
      if (isAppError(error, 'TARGET_UNSAFE')) return error;
      left = 'nothing was touched';
      hint = signal.aborted ? again : 'Choose another recovery point, or remove the cause and restore again.';
    } else if (mode === 'beside' && !this.#isSwapped) {
      left = 'the data in use is untouched';
      hint = await this.#removeWritten(again);
    } else if (mode === 'beside') {
      const places = databases.map(({ index, writtenTo }) => `db${index} with db${writtenTo}`).join(', ');
      left = `it may have swapped ${places}`;
      hint = 'Look which of the two holds the new keys; nothing was removed.';
    }
    if (signal.aborted) return interruptedWith(signal, { left, hint }) ?? error;
    return new AppError(restoreFailureCode(error), `'${step}' failed: ${messageOf(error)}; ${left}`, {
      hint,
      cause: error,
    });
  }

  async #removeWritten(again: string): Promise<string> {
    const written = this.#decision.databases.map(({ writtenTo }) => writtenTo);
    try {
      // Not the caller's signal: it may be what ended the restore.
      await using connection = await connectRedis(this.#options.address, AbortSignal.timeout(cleanupMaxMs));
      for (const index of written) {
        await connection.call('SELECT', index);
        await connection.call('FLUSHDB', 'ASYNC');
      }
      return again;
    } catch (error) {
      const names = written.map((index) => `db${index}`).join(', ');
      return `Remove what was written to ${names}, which was empty before (${messageOf(error)}), and restore again.`;
    }
  }
}

/** As a proof counts them: `7 keys: 3 hash, 4 string`. */
function keyWords(types: ReadonlyMap<string, number>): string {
  const sorted = [...types].toSorted(([left], [right]) => compareNames(left, right));
  const total = sorted.reduce((sum, [, number]) => sum + number, 0);
  const kinds = sorted.map(([type, number]) => `${number.toLocaleString('en-US')} ${type}`);
  return kinds.length === 0 ? count(0, 'key') : `${count(total, 'key')}: ${kinds.join(', ')}`;
}

function failOnDifference(expected: Fingerprint, found: Fingerprint, nowMs: number): void {
  if (found.method !== expected.method) throw differs(`${found.method} instead of ${expected.method}`);
  const [first] = compareFingerprints(expected, found, nowMs);
  if (first !== undefined) {
    throw differs(`${first.name} ${first.kind}: ${first.rowsFound} keys of ${first.rowsExpected}`);
  }
}

function differs(what: string): AppError {
  return new AppError('RESTORE_FAILED', `the target differs from the recovery point: ${what}`, {
    hint: 'Stop what writes to the target and restore again.',
  });
}
