// One backup of a Redis server: its RDB file as a replica would get it, checked while it passes.
import type { Clock } from '../../base/clock.ts';
import type { JsonObject } from '../../base/json.ts';
import { syntheticMetadata } from '../../base/synthetic-metadata.ts';
import type { BackupSession, Entry, EntryProblem } from '../source.ts';
import { connectRedis, type RedisAddress } from './connection.ts';
import { RdbCheck, type RdbSummary } from './rdb-check.ts';
import { requestDump, type ReplicationDump } from './replication-client.ts';
import { factsOf, serverInfo } from './server-facts.ts';

/** The one file of a recovery point. */
export const dumpPath = '/dump.rdb';

export async function openRedisSession(
  address: RedisAddress,
  clock: Clock,
  signal: AbortSignal,
): Promise<BackupSession> {
  let facts: JsonObject;
  {
    await using connection = await connectRedis(address, signal);
    facts = factsOf(await serverInfo(connection));
  }
  return new RedisSession({ address, clock, facts });
}

class RedisSession implements BackupSession {
  readonly paths = [dumpPath];
  readonly problems: EntryProblem[] = [];
  readonly #context: { readonly address: RedisAddress; readonly clock: Clock; readonly facts: JsonObject };
  #dump: ReplicationDump | undefined;
  #summary: RdbSummary | undefined;

  constructor(context: { readonly address: RedisAddress; readonly clock: Clock; readonly facts: JsonObject }) {
    this.#context = context;
  }

  async *entries(walkSignal: AbortSignal): AsyncIterable<Entry> {
    walkSignal.throwIfAborted();
    const metadata = syntheticMetadata('file', BigInt(this.#context.clock.now()) * 1_000_000n);
    const open = (signal: AbortSignal) => this.#read(signal);
    yield { kind: 'whole', path: dumpPath, metadata, content: { from: 'stream', open } };
    walkSignal.throwIfAborted();
  }

  async facts(): Promise<JsonObject> {
    const summary = this.#summary;
    if (summary === undefined || this.#dump === undefined) return this.#context.facts;
    const { replicationId, offset } = this.#dump;
    return {
      ...this.#context.facts,
      replicationId,
      replicationOffset: offset,
      rdbVersion: summary.version,
      rdbSizeBytes: summary.sizeBytes,
      rdbChecksum: summary.checksum,
      keys: summary.counts,
      keysNotFingerprinted: summary.moduleKeys,
    };
  }

  async fingerprint() {
    return this.#summary?.fingerprint;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#dump?.[Symbol.asyncDispose]();
  }

  /** The server forks when this is called, so the recovery point is of this instant. */
  async *#read(signal: AbortSignal): AsyncIterable<Uint8Array> {
    const dump = await requestDump(this.#context.address, signal);
    this.#dump = dump;
    const check = new RdbCheck();
    for await (const bytes of dump.bytes()) {
      check.push(bytes);
      yield bytes;
    }
    await dump[Symbol.asyncDispose]();
    const summary = check.finish();
    this.#noteWhatIsUnproven(summary);
    this.#summary = summary;
  }

  #noteWhatIsUnproven(summary: RdbSummary): void {
    if (summary.unread !== undefined) {
      this.problems.push({ path: dumpPath, message: `backed up without a fingerprint: ${summary.unread}` });
    }
    if (summary.moduleKeys > 0) {
      const message = `${summary.moduleKeys} keys of module types are backed up, but only counted in the fingerprint`;
      this.problems.push({ path: dumpPath, message });
    }
  }
}
