// Makes whole files of what an incremental backup brings: entries that patch the parent's files, and visibility maps without the bits
// that such a backup forgets to clear. Maps wait until all of their table was seen, at the end of the folder.
import { posix } from 'node:path';
import { AppError } from '../../../base/errors.ts';
import type { FileMetadata } from '../../../base/file-type.ts';
import type { Entry, ParentReader, PatchedEntry, Span } from '../../source.ts';
import { IncrementalReader, type IncrementalEvent, type IncrementalHeader } from './incremental-file.ts';
import { PatchPlan, type PatchRange } from './patch-plan.ts';
import type { ChangedPagesCheck, ReceivedFiles } from './received-files.ts';
import { pageBytes, pagesPerSegment, relationPath, type RelationFile } from './relation-file.ts';
import { ChangedBlocks, heapBlocksPerMapPage, repairMapPage } from './visibility-map.ts';

export interface IncrementalMember {
  readonly relation: RelationFile;
  readonly content: AsyncIterable<Uint8Array>;
  readonly metadata: FileMetadata;
  /** Of the member itself, in the snapshot's words and in the manifest's. */
  readonly path: string;
  readonly dataPath: string;
}

export interface MergeOptions {
  /** Sizes of the parent's files by their paths in the snapshot. */
  readonly parentBytes: (path: string) => number | undefined;
  readonly files: ReceivedFiles;
  readonly hasChecksums: boolean;
}

/** What is known of one table of the folder at hand. */
interface Table {
  readonly changed: ChangedBlocks;
  heapBlocks: number;
}

interface WaitingMap {
  readonly relation: RelationFile;
  readonly path: string;
  readonly metadata: FileMetadata;
  readonly plan: PatchPlan;
  /** Pages that came, by their number in the file. */
  readonly pages: ReadonlyMap<number, Uint8Array>;
}

/** Pages of maps that wait; one stands for 255 MB of a table. */
const waitingBytesMax = 64 * 2 ** 20;

export class IncrementalMerge {
  readonly #options: MergeOptions;
  #folder = '';
  #tables = new Map<number, Table>();
  #waiting: WaitingMap[] = [];
  #waitingBytes = 0;
  /** Maps that are not in the backup because too much would have had to wait. The server makes new ones. */
  mapsLeftOut = 0;

  constructor(options: MergeOptions) {
    this.#options = options;
  }

  /** What follows lies in this folder of the snapshot: what waited for the end of the one before comes now. */
  *enter(folder: string): Generator<Entry, void> {
    if (folder === this.#folder) return;
    for (const map of this.#waiting) yield this.#mapEntry(map);
    this.#folder = folder;
    this.#tables = new Map();
    this.#waiting = [];
    this.#waitingBytes = 0;
  }

  /** A file of a relation came whole: of a table's pages none is as the parent's map knew it. */
  noteWhole({ fork, fileNode, segment }: RelationFile, sizeBytes: number): void {
    if (fork !== 'main') return;
    const table = this.#table(fileNode);
    const [from, pages] = [segment * pagesPerSegment, Math.ceil(sizeBytes / pageBytes)];
    table.changed.addRange(from, from + pages);
    table.heapBlocks = Math.max(table.heapBlocks, from + pages);
  }

  async *member({ relation, content, metadata, ...names }: IncrementalMember): AsyncGenerator<Entry, void> {
    const name = posix.basename(relationPath({ ...relation, isIncremental: false }));
    const path = `${posix.dirname(names.path)}/${name}`;
    const parentBytes = this.#options.parentBytes(path);
    if (parentBytes === undefined) throw parentLacks(path);
    const { files } = this.#options;
    const watched = files.watch(names.dataPath, metadata.sizeBytes, content);
    const { header, ranges } = await openIncremental(metadata.sizeBytes, watched, files.checkChanged(relation));
    const plan = new PatchPlan(header, parentBytes);
    const merged = { ...metadata, sizeBytes: header.resultBytes };
    if (relation.fork === 'main') {
      const table = this.#table(relation.fileNode);
      table.changed.addBlocks(relation.segment, header.blocks, pagesPerSegment);
      const blocks = relation.segment * pagesPerSegment + plan.resultPages;
      table.heapBlocks = Math.max(table.heapBlocks, blocks);
    }
    if (relation.fork === 'vm' && !plan.isWhole) {
      await this.#wait({ relation, path, metadata: merged, plan }, ranges);
      return;
    }
    yield { kind: 'patched', path, metadata: merged, spans: plan.spans(), ranges: () => plan.ranges(ranges) };
    while ((await ranges.next()).done !== true); // Whatever of it nobody read.
  }

  async #wait(map: Omit<WaitingMap, 'pages'>, ranges: AsyncIterable<PatchRange>): Promise<void> {
    const pages = new Map<number, Uint8Array>();
    for await (const { offset, bytes } of ranges) {
      for (let done = 0; done < bytes.length;) {
        const [page, within] = [Math.floor((offset + done) / pageBytes), (offset + done) % pageBytes];
        const piece = bytes.subarray(done, done + pageBytes - within);
        let target = pages.get(page);
        if (target === undefined) pages.set(page, (target = new Uint8Array(pageBytes)));
        target.set(piece, within);
        done += piece.length;
      }
    }
    this.#waitingBytes += pages.size * pageBytes;
    if (this.#waitingBytes > waitingBytesMax) this.mapsLeftOut += 1;
    else this.#waiting.push({ ...map, pages });
  }

  #table(fileNode: number): Table {
    const known = this.#tables.get(fileNode);
    if (known !== undefined) return known;
    const table = { changed: new ChangedBlocks(), heapBlocks: 0 };
    this.#tables.set(fileNode, table);
    return table;
  }

  #mapEntry({ relation, path, metadata, plan, pages }: WaitingMap): PatchedEntry {
    const { changed, heapBlocks } = this.#table(relation.fileNode);
    // Beyond the parent's end no bits are set: only a table that got shorter has some to clear.
    const hasShrunk = heapBlocks < this.#parentHeapBlocks(relation, path);
    const repair = {
      changed,
      heapBlocks: hasShrunk ? heapBlocks : Number.MAX_SAFE_INTEGER,
      hasChecksums: this.#options.hasChecksums,
    };
    const firstPage = relation.segment * pagesPerSegment;
    const isStale = (page: number): boolean => {
      const mapPage = firstPage + page;
      return changed.of(mapPage) !== undefined || (hasShrunk && heapBlocks < (mapPage + 1) * heapBlocksPerMapPage);
    };
    const written: number[] = [];
    for (let page = 0; page < plan.resultPages; page += 1) {
      if (plan.has(page) || page >= plan.keptPages || isStale(page)) written.push(page);
    }
    return {
      kind: 'patched',
      path,
      metadata,
      spans: spansOf(written),
      async *ranges(parent: ParentReader) {
        for (const page of written) {
          const bytes = pages.get(page) ?? new Uint8Array(pageBytes);
          if (!plan.has(page) && page < plan.keptPages) {
            bytes.set(await parent.read(page * pageBytes, pageBytes));
            repairMapPage(bytes, firstPage + page, repair);
          }
          yield { offset: page * pageBytes, bytes };
        }
      },
    };
  }

  #parentHeapBlocks(map: RelationFile, path: string): number {
    for (let segment = 0, blocks = 0; ; segment += 1) {
      const name = posix.basename(relationPath({ ...map, fork: 'main', segment, isIncremental: false }));
      const bytes = this.#options.parentBytes(`${posix.dirname(path)}/${name}`);
      if (bytes === undefined) return blocks;
      blocks = segment * pagesPerSegment + Math.ceil(bytes / pageBytes);
    }
  }
}

interface OpenIncremental {
  readonly header: IncrementalHeader;
  /** All that follows it. */
  readonly ranges: AsyncGenerator<PatchRange, void>;
}

async function openIncremental(
  sizeBytes: number,
  content: AsyncIterable<Uint8Array>,
  check: ChangedPagesCheck,
): Promise<OpenIncremental> {
  const events = incrementalEvents(new IncrementalReader(sizeBytes), content);
  const first = await events.next();
  if (first.done === true || first.value.kind !== 'header') throw new Error('an incremental file without a header');
  return { header: first.value.header, ranges: checkedRanges(events, check) };
}

async function* incrementalEvents(
  reader: IncrementalReader,
  content: AsyncIterable<Uint8Array>,
): AsyncGenerator<IncrementalEvent, void> {
  for await (const piece of content) yield* reader.push(piece);
  reader.finish();
}

async function* checkedRanges(
  events: AsyncIterable<IncrementalEvent>,
  check: ChangedPagesCheck,
): AsyncGenerator<PatchRange, void> {
  for await (const event of events) {
    if (event.kind === 'header') throw new Error('an incremental file with two headers');
    check.range(event);
    yield event;
  }
  check.finish();
}

function spansOf(pages: readonly number[]): Span[] {
  const spans: { offset: number; length: number }[] = [];
  for (const page of pages) {
    const last = spans.at(-1);
    if (last !== undefined && last.offset + last.length === page * pageBytes) last.length += pageBytes;
    else spans.push({ offset: page * pageBytes, length: pageBytes });
  }
  return spans;
}

function parentLacks(path: string): AppError {
  return new AppError('SOURCE_FAILED', `the server sent changes of ${path}, which the earlier backup does not hold`, {
    hint: 'Take a full backup: lifeboat backup --type full.',
  });
}
