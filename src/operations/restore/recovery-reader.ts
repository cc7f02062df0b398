// One recovery point as a source sees it: entries, contents, and what was noted beside them at backup time.
import { z } from 'zod';
import { AppError, isAppError, messageOf } from '../../base/errors.ts';
import type { JsonObject } from '../../base/json.ts';
import { fingerprintSchema, type Fingerprint } from '../../model/fingerprint.ts';
import type { IndexedRepository } from '../../repository/blob-reader.ts';
import { readContent } from '../../repository/read-content.ts';
import type { StoredSnapshot } from '../../repository/snapshot.ts';
import { findNode, walkTree } from '../../repository/walk.ts';
import type { Workers } from '../../repository/worker-pool.ts';
import type { RecoveryReader } from '../../sources/source.ts';
import { ownFolder } from '../own-folder.ts';
import { decideTreeRestore } from './tree-decision.ts';
import { executeTreeRestore } from './tree-restore.ts';
import { metadataOf } from '../node-metadata.ts';

/** Our own files are small; one that is not is no file of ours. */
const ownFileMaxBytes = 64 * 1024 * 1024;

const factsSchema = z.record(z.string(), z.json()) as z.ZodType<JsonObject>;

export interface PointParts {
  readonly indexed: IndexedRepository;
  readonly pool: Workers;
  readonly snapshot: StoredSnapshot;
}

/** Whether an own file was read as it was stored, and says nothing that `parse` takes: damage of what wrote it, not of the repository. */
export function isMalformed(error: unknown): error is AppError {
  if (!isAppError(error, 'REPOSITORY_DAMAGED')) return false;
  return error.cause instanceof SyntaxError || error.cause instanceof z.ZodError;
}

/** Characters that mean something in a pattern are themselves in a path. */
function asPattern(path: string): string {
  return path.replaceAll(/[*?[\]\\!]/g, String.raw`\$&`);
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

  /** Undefined if there is none. Rejects with `REPOSITORY_DAMAGED` if it is not what `parse` takes. */
  async function readOwn<Value>(
    name: string,
    parse: (json: unknown) => Value,
    signal: AbortSignal,
  ): Promise<Value | undefined> {
    const node = await findNode(indexed, tree, { path: `${ownFolder}/${name}`, signal });
    if (node?.type !== 'file' || node.sizeBytes > ownFileMaxBytes) return undefined;
    const parts = await Array.fromAsync(readContent(indexed, node.content ?? [], { pool, signal }));
    try {
      return parse(JSON.parse(Buffer.concat(parts).toString('utf8')));
    } catch (error) {
      const place = `${ownFolder}/${name} of snapshot ${snapshot.id.slice(0, 8)}`;
      throw new AppError('REPOSITORY_DAMAGED', `${place} is malformed: ${messageOf(error)}`, {
        hint: 'The program that wrote this snapshot wrote it wrongly; restore another snapshot.',
        cause: error,
      });
    }
  }

  return {
    read,
    async writeFolder({ from, to, exclude = [], isDelta, isTemporary, onBytes }, signal) {
      const request = { snapshot, target: to, base: from, exclude: exclude.map(asPattern), isDelta };
      const decision = await decideTreeRestore(indexed, request, signal);
      let done = 0;
      const onProgress = ({ bytes }: { bytes: number }): void => {
        onBytes?.(bytes - done);
        done = bytes;
      };
      return executeTreeRestore(indexed, decision, { pool, signal, isTemporary, onProgress });
    },
    async *entries(signal) {
      const enters = (path: string): boolean => path !== ownFolder;
      for await (const { path, node } of walkTree(indexed, tree, { signal, enters })) {
        if (path !== ownFolder) yield { path, metadata: metadataOf(node) };
      }
    },
    async facts(signal) {
      return (await readOwn('facts.json', (json) => factsSchema.parse(json), signal)) ?? {};
    },
    async fingerprint(signal): Promise<Fingerprint | undefined> {
      return readOwn('fingerprint.json', (json) => fingerprintSchema.parse(json), signal);
    },
  };
}
