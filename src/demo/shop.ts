// The shop as one thing: created, going on, destroyed, and measured by our own counts.
import { countKeys, fillCache, flushCache, goOnCaching } from './shop-cache.ts';
import { countRows, createShop, destroyDatabase, goOnTrading, shopDatabase } from './shop-database.ts';
import { createFiles, destroyFiles, goOnUploading, type ShopFolders } from './shop-files.ts';
import { manifestOf, type Manifest } from './manifest.ts';
import type { CacheSession, SqlSession } from './parts.ts';
import type { DemoServers } from './servers.ts';

export interface ShopState {
  /** Undefined where the server was left out. */
  readonly rows: number | undefined;
  readonly keys: number | undefined;
  readonly uploads: Manifest;
  readonly configuration: Manifest;
}

export class Shop {
  readonly #folders: ShopFolders;
  readonly #servers: DemoServers;
  readonly #scale: number;

  constructor(folders: ShopFolders, servers: DemoServers, scale: number) {
    this.#folders = folders;
    this.#servers = servers;
    this.#scale = scale;
  }

  async create(onFile: (done: number, total: number) => void, signal: AbortSignal): Promise<void> {
    await this.#onDatabase('postgres', (session) => session.query(`CREATE DATABASE ${shopDatabase}`), signal);
    await this.#onDatabase(shopDatabase, (session) => createShop(session, this.#scale), signal);
    await this.#onCache((session) => fillCache(session, this.#scale), signal);
    await createFiles(this.#folders, { scale: this.#scale, onFile }, signal);
  }

  async goOn(signal: AbortSignal): Promise<void> {
    await this.#onDatabase(shopDatabase, (session) => goOnTrading(session, this.#scale), signal);
    await this.#onCache((session) => goOnCaching(session, this.#scale), signal);
    await goOnUploading(this.#folders, this.#scale);
  }

  async destroy(signal: AbortSignal): Promise<void> {
    await this.#onDatabase(shopDatabase, destroyDatabase, signal);
    await this.#onCache(flushCache, signal);
    await destroyFiles(this.#folders);
  }

  /** Counted anew each time. */
  async measure(signal: AbortSignal): Promise<ShopState> {
    const { uploads, environmentFile, composeFile } = this.#folders;
    return {
      rows: await this.#onDatabase(shopDatabase, countRows, signal),
      keys: await this.#onCache(countKeys, signal),
      uploads: await manifestOf([uploads], signal),
      configuration: await manifestOf([environmentFile, composeFile], signal),
    };
  }

  async #onDatabase<Result>(
    database: string,
    act: (session: SqlSession) => Promise<Result>,
    signal: AbortSignal,
  ): Promise<Result | undefined> {
    if (this.#servers.database === undefined) return undefined;
    await using session = await this.#servers.database.connect(database, signal);
    return await act(session);
  }

  async #onCache<Result>(
    act: (session: CacheSession) => Promise<Result>,
    signal: AbortSignal,
  ): Promise<Result | undefined> {
    if (this.#servers.cache === undefined) return undefined;
    await using session = await this.#servers.cache.connect(signal);
    return await act(session);
  }
}
