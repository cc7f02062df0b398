// A connection over which a server hands out base backups and its WAL: what it can be asked, each question a method.
import type { Clock } from '../../../base/clock.ts';
import { AppError } from '../../../base/errors.ts';
import { sqlStateOf } from '../server-errors.ts';
import { baseBackup } from './base-backup.ts';
import type { BaseBackupEvent } from './base-backup-decoder.ts';
import {
  createSlotCommand,
  dropSlotCommand,
  readSlotCommand,
  startReplicationCommand,
  type BaseBackupOptions,
  type SlotOptions,
  type WalRequest,
} from './commands.ts';
import { protocolError } from './protocol-error.ts';
import { textRows, type ResultSet, type Row } from './rows.ts';
import { readSlotQuery, slotOf, type SlotState } from './slot-state.ts';
import { uploadManifest } from './upload-manifest.ts';
import { endOf, WalStream } from './wal-stream.ts';
import type { WireSession } from './wire-session.ts';
import { serverLsn } from './server-lsn.ts';
import type { Lsn } from '../wal/lsn.ts';
import { settingMs } from './setting.ts';

export interface SystemIdentity {
  /** A 64-bit number as text. */
  readonly systemIdentifier: string;
  readonly timeline: number;
  /** How far WAL was flushed, on a standby replayed. */
  readonly lsn: Lsn;
}

export interface ConnectionFacts {
  /** `15.18 (Debian 15.18-0+deb12u1)`. */
  readonly version: string;
  readonly major: number;
  readonly isStandby: boolean;
  /** Undefined: connected without one (`replication=true`), where SQL can't be run. */
  readonly database: string | undefined;
  readonly isEncrypted: boolean;
}

export interface StreamTimes {
  readonly clock: Clock;
  readonly statusIntervalMs?: number | undefined;
  readonly silenceMaxMs?: number | undefined;
  readonly dataWaitMaxMs?: number | undefined;
}

/** SQLSTATEs of a setting that does not exist, or is not for this role to see. */
const unseenSetting = new Set(['42704', '42501']);
const statusIntervalDefaultMs = 10_000;
const statusIntervalMinMs = 100;
const streamSilenceDefaultMs = 60_000;
const dataWaitDefaultMs = 10 * 60_000;

/**
 * One command at a time. Its signal is that of `connectReplication`: an abort ends the connection whatever it does, and what is waited
 * for rejects with the signal's reason. A command that the server refuses leaves the connection usable; anything else that goes wrong
 * ends it, and every later call says why.
 */
export class ReplicationConnection implements AsyncDisposable {
  readonly facts: ConnectionFacts;
  readonly #session: WireSession;
  readonly #times: StreamTimes;

  constructor(session: WireSession, facts: ConnectionFacts, times: StreamTimes) {
    this.#session = session;
    this.facts = facts;
    this.#times = times;
  }

  /** Rows of the last statement, values as text. SQL needs a database. */
  async query(text: string): Promise<readonly Row[]> {
    const results = await this.#session.simpleQuery(text);
    const last = results.at(-1);
    return last === undefined ? [] : textRows(last);
  }

  /** The value of a setting as text, undefined if this server does not know it or the role may not see it. */
  async show(name: string): Promise<string | undefined> {
    try {
      const [row] = await this.query(`SHOW ${name}`);
      return row === undefined ? undefined : Object.values(row)[0];
    } catch (error) {
      if (unseenSetting.has(sqlStateOf(error) ?? '')) return undefined;
      throw error;
    }
  }

  async identifySystem(): Promise<SystemIdentity> {
    const row = await this.#onlyRow('IDENTIFY_SYSTEM');
    return {
      systemIdentifier: row['systemid'] ?? '',
      timeline: Number(row['timeline']),
      lsn: serverLsn(row['xlogpos']),
    };
  }

  /** Of timelines from 2 on; the first has none. The bytes are as in the server's file. */
  async timelineHistory(timeline: number): Promise<{ readonly fileName: string; readonly content: Buffer }> {
    const [result] = await this.#session.simpleQuery(`TIMELINE_HISTORY ${timeline}`);
    const [fileName, content] = result?.rows[0] ?? [];
    if (fileName === undefined || content === undefined) throw this.#session.die(protocolError('no timeline history'));
    return { fileName: fileName.toString(), content };
  }

  async createSlot(name: string, options: SlotOptions): Promise<void> {
    await this.#session.simpleQuery(createSlotCommand(name, options, this.facts.major));
  }

  /** Undefined if there is no slot of this name. */
  async readSlot(name: string): Promise<SlotState | undefined> {
    const { database, major } = this.facts;
    if (database !== undefined) {
      const [row] = await this.query(readSlotQuery(name));
      return row === undefined ? undefined : slotOf(row);
    }
    if (major < 15) {
      throw new AppError('SOURCE_UNSUPPORTED', `PostgreSQL ${major} tells of slots in a database only`, {
        hint: 'Let the role connect to one database: add a line for it to pg_hba.conf.',
      });
    }
    const row = await this.#onlyRow(readSlotCommand(name));
    return row['slot_type'] === undefined ? undefined : slotOf(row);
  }

  /** `waits`: until its user has left, else a slot in use is an error. */
  async dropSlot(name: string, { waits }: { readonly waits: boolean }): Promise<void> {
    await this.#session.simpleQuery(dropSlotCommand(name, { waits }));
  }

  /** Asks for WAL from `start` on, which should be the start of a segment. Refusals may also come with the first event. */
  async startReplication(request: WalRequest): Promise<WalStream> {
    const timeoutMs = settingMs((await this.show('wal_sender_timeout')) ?? '0');
    const { clock, statusIntervalMs = statusIntervalDefaultMs, silenceMaxMs = streamSilenceDefaultMs } = this.#times;
    const session = this.#session;
    session.begin(startReplicationCommand(request));
    const answer = await session.nextMessage();
    const third = timeoutMs === 0 ? statusIntervalMs : timeoutMs / 3;
    const intervalMs = Math.max(statusIntervalMinMs, Math.min(statusIntervalMs, third));
    const streamOptions = { clock, statusIntervalMs: intervalMs, silenceMaxMs };
    if (answer.type === 'W') return new WalStream(session, streamOptions);
    // The timeline ends just there.
    const first = await session.nextResult(answer);
    const rest = await session.restOfResults();
    const end = session.orDie(() => endOf(first === undefined ? rest : [first, ...rest]));
    return new WalStream(session, streamOptions, end);
  }

  /** Leaving the loop before its last event ends the connection. */
  baseBackup(options: BaseBackupOptions): AsyncGenerator<BaseBackupEvent, void> {
    const { dataWaitMaxMs = dataWaitDefaultMs } = this.#times;
    return baseBackup(this.#session, options, { major: this.facts.major, dataWaitMaxMs });
  }

  /** Hands the manifest of an earlier backup to the server, for incremental backups on this connection. Needs 17. */
  async uploadManifest(manifest: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): Promise<void> {
    await uploadManifest(this.#session, manifest);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#session.close();
  }

  async #onlyRow(command: string): Promise<Row> {
    const results: ResultSet[] = await this.#session.simpleQuery(command);
    const [row] = results.flatMap(textRows);
    if (row === undefined) throw this.#session.die(protocolError(`no row in answer to ${command}`));
    return row;
  }
}
