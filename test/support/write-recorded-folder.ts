// Writes what a test keeps in memory of a recovery point to a folder, as the engine would from a repository.
import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { FileMetadata } from '../../src/base/file-type.ts';
import type { RecoveryReader } from '../../src/sources/source.ts';

export function folderWriter(
  listed: () => Iterable<{ readonly path: string; readonly metadata: FileMetadata }>,
  contentOf: (path: string) => Buffer | undefined,
): RecoveryReader['writeFolder'] {
  return ({ from, to, exclude = [], onBytes }) => {
    const base = from === '/' ? '' : from;
    const folders: { readonly place: string; readonly mode: number }[] = [];
    let [files, bytes] = [0, 0];
    mkdirSync(to, { recursive: true });
    for (const { path, metadata } of listed()) {
      if (!path.startsWith(`${base}/`)) continue;
      if (exclude.some((one) => path === one || path.startsWith(`${one}/`))) continue;
      const place = join(to, path.slice(base.length));
      if (metadata.type === 'dir') {
        mkdirSync(place, { recursive: true });
        folders.push({ place, mode: metadata.mode });
      } else if (metadata.type === 'symlink') symlinkSync(metadata.linkTarget ?? '', place);
      else {
        const content = contentOf(path) ?? Buffer.alloc(0);
        mkdirSync(join(place, '..'), { recursive: true });
        writeFileSync(place, content, { mode: metadata.mode });
        files += 1;
        bytes += content.length;
        onBytes?.(content.length);
      }
    }
    for (const { place, mode } of folders) chmodSync(place, mode);
    return Promise.resolve({ files, bytes, writtenBytes: bytes, problems: [] });
  };
}
