// The object-store contract: all that a repository asks of the place where its files live.

/**
 * A flat set of named, write-once objects. Names are relative paths such as `data/ab/abcd…`.
 *
 * What a caller may rely on:
 * - `put` is atomic: a reader sees the whole object or none. When it resolves, the object survives a power cut.
 *   When it rejects, the object may be there or not (the answer may have been lost). Putting a name again replaces it.
 * - `get` and `stat` reject with `OBJECT_MISSING` if there is no such object.
 * - `remove` of a missing object succeeds. A power cut may bring a removed object back, until `settle`.
 * - `list` yields each object below a prefix once, in no particular order; it does not show unfinished writes.
 * - every method may be called concurrently, rejects with an `AppError`, and stops soon after `signal` aborts.
 */
export interface Store extends AsyncDisposable {
  readonly properties: StoreProperties;
  /** The whole object, or `length` bytes from `offset`. A range beyond the end gives fewer bytes, never an error. */
  get(name: string, options?: GetOptions): Promise<Buffer>;
  /** Stores the concatenation of `parts`. The caller leaves the parts unchanged until it resolves. */
  put(name: string, parts: readonly Uint8Array[], options?: PutOptions): Promise<void>;
  stat(name: string, options?: CallOptions): Promise<ObjectInfo>;
  /** All objects whose name begins with `prefix`, which is empty or ends in `/`. */
  list(prefix: string, options?: CallOptions): AsyncIterable<ObjectInfo>;
  remove(name: string, options?: CallOptions): Promise<void>;
  /**
   * What was added or removed directly below `prefix` before this call, by whomever, survives a power cut when it resolves.
   * Called before something goes that must not go sooner. Absent where whatever is seen lasts.
   */
  readonly settle?: ((prefix: string, options?: CallOptions) => Promise<void>) | undefined;
  /**
   * Removes what writes that were cut short before `writtenBeforeMs` left behind; returns how many. Only while nobody
   * else writes. Absent where a write that is cut short leaves nothing.
   */
  readonly removeUnfinished?: ((writtenBeforeMs: number, options?: CallOptions) => Promise<number>) | undefined;
}

export interface StoreProperties {
  /** Where it is, for people, without credentials: `/srv/repo`, `s3://bucket/prefix`. */
  readonly location: string;
  /** How many calls at once make sense. */
  readonly connectionsMax: number;
  /** True where calls cross a network and reading twice is worth a local cache. */
  readonly isRemote: boolean;
}

export interface CallOptions {
  readonly signal?: AbortSignal | undefined;
}

export interface GetOptions extends CallOptions {
  /** Bytes to skip; 0 if absent. */
  readonly offset?: number;
  /** Bytes to read; to the end if absent. */
  readonly length?: number;
  /** Memory that a driver may put the bytes into instead of its own; what it returns then lies in it. */
  readonly into?: Uint8Array | undefined;
}

export interface PutOptions extends CallOptions {
  /** True for bulk data that a bucket rule may move to a colder storage class; metadata must stay readable at once. */
  readonly isBulkData?: boolean;
}

export interface ObjectInfo {
  readonly name: string;
  readonly sizeBytes: number;
}
