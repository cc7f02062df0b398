// One recovery point as a source sees it: entries, contents, and what was noted beside them at backup time.
import { AppError } from '../../base/errors.ts';
import type { JsonObject } from '../../base/json.ts';
import { fingerprintSchema, type Fingerprint } from '../../model/fingerprint.ts';
import type { IndexedRepository } from '../../repository/blob-reader.ts';
import { readContent } from '../../repository/read-content.ts';
import type { StoredSnapshot } from '../../repository/snapshot.ts';
import { findNode, walkTree } from '../../repository/walk.ts';
import type { Workers } from '../../repository/worker-pool.ts';
import type { RecoveryReader } from '../../sources/source.ts';
import { ownFolder } from '../backup/backup.ts';
import { metadataOf } from '../node-metadata.ts';

/** Our own files are small; one that is not is no file of ours. */
const ownFileMaxBytes = 64 * 1024 * 1024;

export interface PointParts {
  readonly indexed: IndexedRepository;
  readonly pool: Workers;
  readonly snapshot: StoredSnapshot;
}

export function recoveryReader({ indexed, pool, snapshot }: PointParts): RecoveryReader {
  const { tree } = snapshot;

  async function* read(path: string, signal: AbortSignal): AsyncGenerator<Buffer> {
    const node = await findNode(indexed, tree, { path, signal });
    if (node?.type !== 'file') {
      throw new AppError('NOT_FOUND', `snapshot ${snapshot.id.slice(0, 8)} has no file ${path}`, {
        hint: `List what it has with 'lifeboat ls ${snapshot.id.slice(0, 8)}'.`,
      });
    }
    yield* readContent(indexed, node.content ?? [], { pool, signal });
  }

  async function readOwn(name: string, signal: AbortSignal): Promise<unknown> {
    const node = await findNode(indexed, tree, { path: `${ownFolder}/${name}`, signal });
    if (node?.type !== 'file' || node.sizeBytes > ownFileMaxBytes) return undefined;
    const parts = await Array.fromAsync(readContent(indexed, node.content ?? [], { pool, signal }));
    return JSON.parse(Buffer.concat(parts).toString('utf8'));
  }

  return {
    read,
    async *entries(signal) {
      const enters = (path: string): boolean => path !== ownFolder;
      for await (const { path, node } of walkTree(indexed, tree, { signal, enters })) {
        if (path !== ownFolder) yield { path, metadata: metadataOf(node) };
      }
    },
    async facts(signal) {
      const facts = await readOwn('facts.json', signal);
      return typeof facts === 'object' && facts !== null ? (facts as JsonObject) : {};
    },
    async fingerprint(signal): Promise<Fingerprint | undefined> {
      const fingerprint = await readOwn('fingerprint.json', signal);
      return fingerprint === undefined ? undefined : fingerprintSchema.parse(fingerprint);
    },
  };
}
