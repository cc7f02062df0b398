// How many rows each table had in backups, by the fingerprints that travel with them. The index is read when first asked, so that
// whoever backs up files does not wait for it.
import { isAppError } from '../base/errors.ts';
import type { RowCounts } from '../model/anomaly.ts';
import { recoveryReader } from '../operations/restore/recovery-reader.ts';
import type { BlobIndex } from '../repository/blob-index.ts';
import { loadIndex } from '../repository/load-index.ts';
import type { Repository } from '../repository/repository.ts';
import type { StoredSnapshot } from '../repository/snapshot.ts';
import { WorkerPool } from '../repository/worker-pool.ts';

export class RowCountsReader implements AsyncDisposable {
  readonly #repository: Repository;
  readonly #pool: WorkerPool;
  readonly #known = new Map<string, RowCounts | undefined>();
  #index: Promise<BlobIndex> | undefined;

  /** `index`: as somebody has read it already. */
  constructor(repository: Repository, index?: BlobIndex) {
    this.#repository = repository;
    this.#index = index && Promise.resolve(index);
    this.#pool = new WorkerPool(repository, 1);
  }

  /**
   * Undefined where there are no tables, or no fingerprint that can be read: whether it is damaged is for the verification to say, and in an
   * archive earlier ones may lie where they do not answer. What is at hand was stored, and must not fail for them.
   */
  async of(snapshot: StoredSnapshot, signal: AbortSignal): Promise<RowCounts | undefined> {
    const source = snapshot.lifeboat?.source;
    if (source === undefined || source === 'files') return undefined;
    const { tree } = snapshot;
    if (!this.#known.has(tree)) this.#known.set(tree, await this.#read(snapshot, signal));
    return this.#known.get(tree);
  }

  async #read(snapshot: StoredSnapshot, signal: AbortSignal): Promise<RowCounts | undefined> {
    this.#index ??= loadIndex(this.#repository, signal);
    const indexed = { repository: this.#repository, index: await this.#index };
    try {
      const fingerprint = await recoveryReader({ indexed, pool: this.#pool, snapshot }).fingerprint(signal);
      // What expires by itself is gone for no reason to worry.
      const lasting = fingerprint?.items.filter(({ expiresAtMs }) => expiresAtMs === undefined);
      return lasting && new Map(lasting.map(({ name, rows }) => [name, rows]));
    } catch (error) {
      if (isAppError(error, 'REPOSITORY_DAMAGED', 'STORE_DENIED')) return undefined;
      throw error;
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#pool[Symbol.asyncDispose]();
  }
}
