// Pages that were damaged at the server already: looked at once more where we may, because a page that is written at the very moment
// it is read looks the same, then named by relation.
import { isAppError } from '../../../base/errors.ts';
import { count } from '../../../base/count.ts';
import { type Connection, connect } from '../connection.ts';
import type { ServerAddress } from '../server-address.ts';
import { connectForMaintenance } from '../server.ts';
import { formatLsn, type Lsn } from '../wal/lsn.ts';
import { pageChecksum } from './page-checksum.ts';
import type { DamagedFile, ReceivedFiles } from './received-files.ts';
import { pageBytes, pagesPerSegment, type RelationFile } from './relation-file.ts';

export interface Damage {
  /** From the data directory on. */
  readonly file: string;
  /** `shop.public.orders`; null if it could not be found out. */
  readonly relation: string | null;
  /** The first of them, counted from the start of the fork. */
  readonly blocks: readonly number[];
  readonly count: number;
  /** For people. */
  readonly message: string;
}

export interface DamageRequest {
  readonly address: ServerAddress;
  readonly startLsn: Lsn;
  /** No change can be behind it. */
  readonly endLsn: Lsn;
}

const blocksNamedMax = 5;

export async function findDamage(files: ReceivedFiles, request: DamageRequest, signal: AbortSignal): Promise<Damage[]> {
  const fromFuture = files.torn.filter(({ pages }) => pages.tornLsnMax > request.endLsn);
  if (files.damaged.length === 0 && fromFuture.length === 0) return [];
  await using server = new ServerLook(request, signal);
  const damages: Damage[] = [];
  for (const file of files.damaged) {
    const blocks = await server.stillDamaged(file);
    const { damagedPages, damaged, partialBytes } = file.pages;
    const unlisted = damagedPages - damaged.length;
    if (blocks.length + unlisted === 0 && partialBytes === 0) continue;
    const relation = await server.relationName(file.relation);
    const total = blocks.length + unlisted;
    damages.push({
      file: file.path,
      relation,
      blocks,
      count: total,
      message: messageOf({ file, relation, blocks, total }),
    });
  }
  for (const { path, relation: ofFile, pages } of fromFuture) {
    const relation = await server.relationName(ofFile);
    const message = `a page of ${relation ?? path} claims a change at ${formatLsn(pages.tornLsnMax)}, which the server has not reached`;
    damages.push({ file: path, relation, blocks: [], count: 1, message });
  }
  return damages;
}

function messageOf(parts: {
  file: DamagedFile;
  relation: string | null;
  blocks: readonly number[];
  total: number;
}): string {
  const { file, relation, blocks, total } = parts;
  const name = `${relation ?? 'a relation'}${file.relation.fork === 'main' ? '' : ` (${file.relation.fork})`}`;
  if (total === 0) return `${name} ends in ${count(file.pages.partialBytes, 'byte')} that are no whole page`;
  const named = blocks.slice(0, blocksNamedMax).join(', ');
  const more = total > blocksNamedMax ? ` and ${total - blocksNamedMax} more` : '';
  return `damaged at the server: ${total === 1 ? 'block' : 'blocks'} ${named}${more} of ${name}: the checksum does not fit`;
}

/** Looks through SQL, as far as the role may. */
class ServerLook implements AsyncDisposable {
  readonly #request: DamageRequest;
  readonly #signal: AbortSignal;
  #maintenance: Connection | undefined;
  readonly #databases = new Map<number, Connection | undefined>();

  constructor(request: DamageRequest, signal: AbortSignal) {
    this.#request = request;
    this.#signal = signal;
  }

  /** Blocks that are not whole when read again, or that nothing in the WAL will mend. */
  async stillDamaged({ path, relation, pages }: DamagedFile): Promise<number[]> {
    const blocks: number[] = [];
    for (const { block } of pages.damaged) {
      const offset = (block - relation.segment * pagesPerSegment) * pageBytes;
      const again = await this.#readPage(path, offset);
      if (again === undefined || !this.#isMendedByWal(again, block)) blocks.push(block);
    }
    return blocks;
  }

  async relationName(file: RelationFile): Promise<string | null> {
    const connection = await this.#database(file.databaseOid);
    if (connection === undefined) return null;
    const tablespace = file.tablespaceOid ?? (file.databaseOid === 0 ? 1664 : 1663);
    const rows = await this.#orNothing(() =>
      connection.query<{ readonly name: string | null }>(
        `SELECT format('%I.%I.%I', pg_catalog.current_database(), n.nspname, c.relname) AS name FROM pg_catalog.pg_class c
           JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = pg_catalog.pg_filenode_relation($1, $2)`,
        [tablespace, file.fileNode],
      ),
    );
    return rows?.[0]?.name ?? null;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const connection of [...this.#databases.values(), this.#maintenance])
      await connection?.[Symbol.asyncDispose]();
  }

  async #readPage(path: string, offset: number): Promise<Buffer | undefined> {
    const connection = await this.#anyDatabase();
    const rows = await this.#orNothing(async () =>
      connection?.query<{ readonly page: Buffer | null }>(
        'SELECT pg_catalog.pg_read_binary_file($1, $2, $3, true) AS page',
        [path, offset, pageBytes],
      ),
    );
    const page = rows?.[0]?.page ?? undefined;
    return page?.length === pageBytes ? page : undefined;
  }

  /** Whole now, and changed since the backup began: replay brings it back. */
  #isMendedByWal(page: Buffer, block: number): boolean {
    const words = new Int32Array(pageBytes / 4);
    page.copy(Buffer.from(words.buffer));
    const lsn = (BigInt(page.readUInt32LE(0)) << 32n) | BigInt(page.readUInt32LE(4));
    return pageChecksum(words, 0, block) === page.readUInt16LE(8) && lsn >= this.#request.startLsn;
  }

  async #anyDatabase(): Promise<Connection | undefined> {
    this.#maintenance ??= await this.#orNothing(() => connectForMaintenance(this.#request.address, [], this.#signal));
    return this.#maintenance;
  }

  async #database(oid: number): Promise<Connection | undefined> {
    const maintenance = await this.#anyDatabase();
    if (oid === 0 || maintenance === undefined) return maintenance;
    if (!this.#databases.has(oid)) {
      const connection = await this.#orNothing(async () => {
        const query = 'SELECT datname::text AS name FROM pg_catalog.pg_database WHERE oid = $1';
        const [row] = await maintenance.query<{ readonly name: string }>(query, [oid]);
        return row === undefined ? undefined : connect(this.#request.address, row.name, this.#signal);
      });
      this.#databases.set(oid, connection);
    }
    return this.#databases.get(oid);
  }

  /** What may not be looked at stays unknown. */
  async #orNothing<Value>(look: () => Promise<Value>): Promise<Value | undefined> {
    try {
      return await look();
    } catch (error) {
      this.#signal.throwIfAborted();
      if (!isAppError(error)) throw error;
      return undefined;
    }
  }
}
