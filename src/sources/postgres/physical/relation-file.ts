// Which files of a data directory hold pages of relations, and which part of which relation: from their paths alone.

export type Fork = 'main' | 'fsm' | 'vm' | 'init';

export interface RelationFile {
  /** The folder of the database and tablespace, as a data directory has it: `base/5`, `global`, `pg_tblspc/16400/PG_15_202209061/5`. */
  readonly folder: string;
  /** Of a tablespace made by a user; undefined for `base` and `global`. */
  readonly tablespaceOid: number | undefined;
  /** 0 for relations that all databases share. */
  readonly databaseOid: number;
  /** Names the file, not the table: a rewrite gives a new one. */
  readonly fileNode: number;
  readonly fork: Fork;
  /** Files of a fork are cut at 1 GiB; this one holds pages from `segment × pagesPerSegment` on. */
  readonly segment: number;
  /** Holds changed pages only, as the server sends them for an incremental backup. */
  readonly isIncremental: boolean;
}

/** Pages in a file of 1 GiB; servers built otherwise say so in pg_control. */
export const pagesPerSegment = 131_072;
export const pageBytes = 8192;

const fileForm = /^(INCREMENTAL\.)?(\d{1,10})(?:_(fsm|vm|init))?(?:\.([1-9]\d{0,5}))?$/;
const folderForms: readonly RegExp[] = [
  /^(?<folder>global)$/,
  /^(?<folder>base\/(?<database>\d{1,10}))$/,
  /^(?<folder>pg_tblspc\/(?<tablespace>\d{1,10})\/PG_\d{1,3}_\d{1,10}\/(?<database>\d{1,10}))$/,
];

/**
 * What the file at `path` (from the data directory on) holds of a relation; undefined for all other files and for those of
 * temporary relations, which no backup has. All that are told of here carry checksums if the cluster has them.
 */
export function relationFile(path: string): RelationFile | undefined {
  const slash = path.lastIndexOf('/');
  const [, incremental, fileNode, fork, segment] = fileForm.exec(path.slice(slash + 1)) ?? [];
  if (fileNode === undefined) return undefined;
  const folder = path.slice(0, Math.max(0, slash));
  for (const form of folderForms) {
    const groups = form.exec(folder)?.groups;
    if (groups === undefined) continue;
    const { tablespace, database } = groups as { tablespace?: string; database?: string };
    return {
      folder,
      tablespaceOid: tablespace === undefined ? undefined : Number(tablespace),
      databaseOid: Number(database ?? 0),
      fileNode: Number(fileNode),
      fork: (fork ?? 'main') as Fork,
      segment: Number(segment ?? 0),
      isIncremental: incremental !== undefined,
    };
  }
  return undefined;
}

/** The path of a fork's file; the inverse of `relationFile`. */
export function relationPath({ folder, fileNode, fork, segment, isIncremental }: RelationFile): string {
  const suffix = `${fork === 'main' ? '' : `_${fork}`}${segment === 0 ? '' : `.${segment}`}`;
  return `${folder}/${isIncremental ? 'INCREMENTAL.' : ''}${fileNode}${suffix}`;
}
