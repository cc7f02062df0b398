// Files of configuration from outside the data directory, as entries beside it.
import { posix } from 'node:path';
import type { Entry } from '../../source.ts';
import type { ClusterFacts } from './cluster-facts.ts';
import { fileMetadata, folderMetadata, type FileForm } from './member-metadata.ts';

const configurationFolder = '/configuration';

/** Where each file lies in the snapshot; files of the same name from different folders are numbered. */
export function configurationPlaces(cluster: ClusterFacts | undefined): { path: string; entry: string }[] {
  const taken = new Map<string, number>();
  return (cluster?.configuration ?? []).map(({ path }) => {
    const name = posix.basename(path);
    const number = (taken.get(name) ?? 0) + 1;
    taken.set(name, number);
    return { path, entry: `${configurationFolder}/${number === 1 ? name : `${number}-${name}`}` };
  });
}

export function* configurationEntries(cluster: ClusterFacts | undefined, form: FileForm): Generator<Entry, void> {
  const places = configurationPlaces(cluster);
  if (places.length === 0) return;
  yield { kind: 'whole', path: configurationFolder, metadata: folderMetadata(form) };
  for (const [index, { entry }] of places.entries()) {
    const bytes = Buffer.from(cluster?.configuration[index]?.text ?? '');
    yield { kind: 'whole', path: entry, metadata: fileMetadata(form, bytes.length), content: { from: 'bytes', bytes } };
  }
}
