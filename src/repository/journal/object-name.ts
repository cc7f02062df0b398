// Names of journal objects inside a repository. A listing alone tells which segments are sealed, how long they are, which
// parts the open one has, and where gaps are. Every writer has names of its own, so that none can overwrite another's object:
// conditional writes can't be relied upon. Nothing in a name is believed before the header inside the object says the same.
//
//   journals/branches/<lineage>/<epoch>-<writer>                                       what a branch is
//   journals/<lineage>/parts/<segment>-<offset>-<length>-<epoch>-<writer>              bytes of an open segment
//   journals/<lineage>/segments/<segment>-<offset>-<length>-<end>-<epoch>-<writer>     bytes of a sealed one; `end` is its size
//   journals/<lineage>/gaps/<segment>.<offset>-<segment>.<offset>-<epoch>-<writer>     what can't be had any more
//   journals/leases/<family>/<epoch>-<writer>-<held|released>                          who may write
//
// Lineage and family stand there as keyed hashes. Numbers are hexadecimal and of fixed width, so that names sort by them.
import type { ObjectInfo } from '../../storage/store.ts';
import type { Repository } from '../repository.ts';
import { keyedName } from '../subkeys.ts';
import type { JournalPlace } from './place.ts';

/** Something wrong with an object (its name), or with a lineage (its folder). */
export interface JournalProblem {
  readonly name: string;
  readonly message: string;
}

/** Decides where writers disagree: the higher pair of epoch and writer wins, never a time. */
export interface JournalRank {
  readonly epoch: number;
  /** 16 hex digits, drawn anew by each writer. */
  readonly writer: string;
}

/** A stretch of a segment's bytes, as its name tells. */
export interface DataName extends JournalRank {
  readonly name: string;
  readonly kind: 'part' | 'segment';
  readonly segment: number;
  readonly offset: number;
  readonly lengthBytes: number;
  /** Of a sealed segment: where the whole of it ends. */
  readonly segmentEnd: number | undefined;
  readonly storedBytes: number;
}

export interface GapName extends JournalRank {
  readonly name: string;
  readonly from: JournalPlace;
  readonly to: JournalPlace;
}

export interface LeaseName extends JournalRank {
  readonly name: string;
  readonly isReleased: boolean;
}

export const journalsFolder = 'journals/';
export const branchesFolder = `${journalsFolder}branches/`;
export const leasesFolder = `${journalsFolder}leases/`;

/** Copies have it: whoever receives there himself outranks them. */
export const copyEpoch = 0;
export const epochMax = 0xffff_ffff;
const writerForm = /^[0-9a-f]{16}$/;

export const isWriterId = (text: string): boolean => writerForm.test(text);

/** Positive if `left` outranks `right`. */
export function compareRanks(left: JournalRank, right: JournalRank): number {
  if (left.epoch !== right.epoch) return left.epoch - right.epoch;
  if (left.writer === right.writer) return 0;
  return left.writer > right.writer ? 1 : -1;
}

export const endOfName = ({ offset, lengthBytes }: DataName): number => offset + lengthBytes;

export const lineageHash = ({ keys }: Pick<Repository, 'keys'>, lineage: string): string =>
  keyedName(keys, 'journal names lineage', lineage);
export const lineageFolder = (repository: Pick<Repository, 'keys'>, lineage: string): string =>
  `${journalsFolder}${lineageHash(repository, lineage)}/`;
export const branchFolder = (repository: Pick<Repository, 'keys'>, lineage: string): string =>
  `${branchesFolder}${lineageHash(repository, lineage)}/`;
export const leaseFolder = ({ keys }: Pick<Repository, 'keys'>, family: string): string =>
  `${leasesFolder}${keyedName(keys, 'journal names family', family)}/`;

const hex = (number: number, digits: number): string => number.toString(16).padStart(digits, '0');
const segmentText = (segment: number): string => hex(segment, 16);
/** Up to 256 TiB. */
const offsetText = (offset: number): string => hex(offset, 12);
export const rankText = ({ epoch, writer }: JournalRank): string => `${hex(epoch, 8)}-${writer}`;

export function dataFileName(data: Omit<DataName, 'name' | 'storedBytes'>): string {
  const { kind, segment, offset, lengthBytes, segmentEnd } = data;
  const numbers = [segmentText(segment), offsetText(offset), offsetText(lengthBytes)];
  if (segmentEnd !== undefined) numbers.push(offsetText(segmentEnd));
  return `${kind}s/${numbers.join('-')}-${rankText(data)}`;
}

export function gapFileName({ from, to, ...rank }: Omit<GapName, 'name'>): string {
  const place = ({ segment, offset }: JournalPlace): string => `${segmentText(segment)}.${offsetText(offset)}`;
  return `gaps/${place(from)}-${place(to)}-${rankText(rank)}`;
}

export const leaseFileName = ({ isReleased, ...rank }: Omit<LeaseName, 'name'>): string =>
  `${rankText(rank)}-${isReleased ? 'released' : 'held'}`;

const rankForm = '(?<epoch>[0-9a-f]{8})-(?<writer>[0-9a-f]{16})';
const dataForm = new RegExp(
  `(?:^|/)(?<kind>part|segment)s/(?<segment>[0-9a-f]{16})-(?<offset>[0-9a-f]{12})-(?<length>[0-9a-f]{12})(?:-(?<end>[0-9a-f]{12}))?-${rankForm}$`,
);
const gapForm = new RegExp(
  `(?:^|/)gaps/(?<segment>[0-9a-f]{16})\\.(?<offset>[0-9a-f]{12})-(?<toSegment>[0-9a-f]{16})\\.(?<toOffset>[0-9a-f]{12})-${rankForm}$`,
);
const leaseForm = new RegExp(`/${rankForm}-(?<state>held|released)$`);
const branchForm = new RegExp(`/${rankForm}$`);

type Fields = Record<string, string | undefined>;
const numberIn = (fields: Fields, field: string): number => Number.parseInt(fields[field] ?? '', 16);
const rankIn = (fields: Fields): JournalRank => ({
  epoch: numberIn(fields, 'epoch'),
  writer: fields['writer'] ?? '',
});

/** Undefined for names that no writer of ours gives. */
export function parseDataName({ name, sizeBytes }: ObjectInfo): DataName | undefined {
  const fields: Fields | undefined = dataForm.exec(name)?.groups;
  if (fields === undefined) return undefined;
  const kind = fields['kind'] === 'segment' ? 'segment' : 'part';
  const segment = numberIn(fields, 'segment');
  const offset = numberIn(fields, 'offset');
  const lengthBytes = numberIn(fields, 'length');
  const segmentEnd = fields['end'] === undefined ? undefined : numberIn(fields, 'end');
  if (!Number.isSafeInteger(segment) || lengthBytes === 0) return undefined;
  if ((kind === 'segment') !== (segmentEnd !== undefined)) return undefined;
  if (segmentEnd !== undefined && offset + lengthBytes > segmentEnd) return undefined;
  return { name, kind, segment, offset, lengthBytes, segmentEnd, storedBytes: sizeBytes, ...rankIn(fields) };
}

export function parseGapName(name: string): GapName | undefined {
  const fields: Fields | undefined = gapForm.exec(name)?.groups;
  if (fields === undefined) return undefined;
  const from = { segment: numberIn(fields, 'segment'), offset: numberIn(fields, 'offset') };
  const to = { segment: numberIn(fields, 'toSegment'), offset: numberIn(fields, 'toOffset') };
  if (!Number.isSafeInteger(from.segment) || !Number.isSafeInteger(to.segment)) return undefined;
  return { name, from, to, ...rankIn(fields) };
}

export function parseLeaseName(name: string): LeaseName | undefined {
  const fields: Fields | undefined = leaseForm.exec(name)?.groups;
  return fields && { name, isReleased: fields['state'] === 'released', ...rankIn(fields) };
}

export function parseBranchName(name: string): (JournalRank & { readonly name: string }) | undefined {
  const fields: Fields | undefined = branchForm.exec(name)?.groups;
  return fields && { name, ...rankIn(fields) };
}
