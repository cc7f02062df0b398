// Puts the bytes of a stretch together from what writers left of it: sealed segments, parts, or both. An object is taken in
// only where the hash of everything before it is the hash it was written after. Where objects differ, the higher rank wins,
// and the other is told as a problem.
import { isAppError, messageOf } from '../../base/errors.ts';
import { forEachLimited } from '../../base/for-each-limited.ts';
import { isMissing, type Repository } from '../repository.ts';
import { chainStart, chainText, readData, readDataHeader, type DataHeader, type ReadData } from './data-object.ts';
import type { KeptStretch } from './listing.ts';
import { compareRanks, endOfName, type DataName, type JournalProblem } from './object-name.ts';

export interface StreamOptions {
  readonly lineage: string;
  readonly stretch: KeptStretch;
  readonly signal: AbortSignal;
  /** The beginning of the stretch, as it was read and verified before: only what goes on from it is read. */
  readonly known?: Uint8Array | undefined;
  /** Objects that are damaged or differ. */
  readonly onProblem: (problem: JournalProblem) => void;
  /** Whether objects of which no byte is needed are read whole all the same, as a verification does. */
  readonly readsAll?: boolean | undefined;
}

/** Under way at once: as many as the store likes, but not more bytes than this. */
const readAheadMaxBytes = 16 * 1024 * 1024;
const noBytes = new Uint8Array(0);

/**
 * Verified pieces in order, of at most 16 MiB. Ends where nothing goes on; the caller sees whether that is the end of the
 * stretch. Rejects with `OBJECT_MISSING` if something listed is gone, as parts are once their segment is sealed.
 */
export async function* streamStretch(repository: Repository, options: StreamOptions): AsyncGenerator<Buffer> {
  const { stretch, known = noBytes, onProblem } = options;
  const [only] = stretch.objects;
  if (stretch.objects.length === 1 && only?.offset === stretch.from && known.length === 0) {
    yield* streamOnly(repository, only, options);
    return;
  }
  const chain = new Chain(stretch);
  if (known.length > 0) chain.append(known);
  const isNew = (data: DataName): boolean => endOfName(data) > stretch.from + known.length;
  await using reader = new ReadAhead(repository, options);
  const rejected = new Set<DataName>();
  const used = new Set<DataName>();
  const ranked = rankObjects(stretch.objects);
  const nextAt = (at: number): DataName | undefined =>
    ranked.find((data) => data.offset <= at && endOfName(data) > at && !rejected.has(data));
  while (chain.end < stretch.to) {
    const data = nextAt(chain.end);
    if (data === undefined) break;
    const read = await reader.read(data, nextAt);
    const problem = read instanceof Error ? messageOf(read.cause ?? read) : chain.misfit(read);
    if (read instanceof Error || problem !== undefined) {
      rejected.add(data);
      onProblem({ name: data.name, message: problem ?? '' });
      continue;
    }
    used.add(data);
    const fresh = read.bytes.subarray(chain.end - data.offset);
    chain.append(fresh);
    yield fresh;
  }
  const others = ranked.filter((data) => isNew(data) && !used.has(data) && !rejected.has(data));
  await compareOthers(repository, { ...options, chain, others });
}

/** Nothing goes before or after it: its own hash is the hash of all. */
async function* streamOnly(
  repository: Repository,
  data: DataName,
  { lineage, stretch, signal, onProblem }: StreamOptions,
): AsyncGenerator<Buffer> {
  try {
    const { header, bytes } = await readData(repository, { lineage, data }, signal);
    const problem =
      new Chain(stretch).misplacement(header) ??
      (header.through === header.sha256 ? undefined : 'its header contradicts itself');
    if (problem === undefined) yield bytes;
    else onProblem({ name: data.name, message: problem });
  } catch (error) {
    if (!isAppError(error, 'REPOSITORY_DAMAGED')) throw error;
    onProblem({ name: data.name, message: messageOf(error.cause ?? error) });
  }
}

/** What is preferred comes first; of one writer, what covers more. */
function rankObjects(objects: readonly DataName[]): DataName[] {
  return objects.toSorted(
    (left, right) => compareRanks(right, left) || right.lengthBytes - left.lengthBytes || left.offset - right.offset,
  );
}

/** The hash of all bytes so far, and what it was at each place where an object begins or ends. */
export class Chain {
  readonly #start: number;
  readonly #borders: readonly number[];
  readonly #hashes = new Map<number, ReturnType<typeof chainStart>>();
  readonly #current = chainStart();
  #end: number;

  constructor({ from, objects }: Pick<KeptStretch, 'from' | 'objects'>) {
    this.#start = from;
    this.#end = from;
    const borders = new Set(objects.flatMap((data) => [data.offset, endOfName(data)]));
    this.#borders = [...borders].toSorted((left, right) => left - right);
    this.#remember();
  }

  get end(): number {
    return this.#end;
  }

  append(bytes: Uint8Array): void {
    const from = this.#end;
    const inside = this.#borders.filter((border) => border > from && border < from + bytes.length);
    for (const border of [...inside, from + bytes.length]) {
      this.#current.update(bytes.subarray(this.#end - from, border - from));
      this.#end = border;
      this.#remember();
    }
  }

  #remember(): void {
    this.#hashes.set(this.#end, this.#current.copy());
  }

  at(offset: number): string | undefined {
    const known = this.#hashes.get(offset);
    return known && chainText(known);
  }

  /** Why an object that begins at or before the end does not go on from here; undefined if it does. */
  misfit({ header, bytes }: ReadData): string | undefined {
    const problem = this.misplacement(header);
    if (problem !== undefined) return problem;
    const before = this.#hashes.get(header.offset)?.copy();
    const shared = bytes.subarray(0, this.#end - header.offset);
    if (before === undefined || chainText(before.update(shared)) !== this.at(this.#end)) return differs;
    return undefined;
  }

  /** As `misfit`, of an object that ends at or before the end; its header is enough. */
  contradiction(header: DataHeader): string | undefined {
    const problem = this.misplacement(header);
    if (problem !== undefined) return problem;
    return this.at(header.offset + header.lengthBytes) === header.through ? undefined : differs;
  }

  misplacement({ start, offset, before }: DataHeader): string | undefined {
    if (start !== this.#start) return `it goes on from offset ${start}, but bytes from there are missing`;
    return this.at(offset) === before ? undefined : 'it was written after other bytes than those kept before it';
  }
}

const differs = 'its bytes differ from those that another writer of a higher rank kept for the same place';

/** What no byte was taken from is compared by its header, so that a fork does not stay hidden. */
async function compareOthers(
  repository: Repository,
  {
    lineage,
    others,
    chain,
    signal,
    onProblem,
    readsAll = false,
  }: StreamOptions & { readonly chain: Chain; readonly others: readonly DataName[] },
): Promise<void> {
  await forEachLimited(others, repository.store.properties.connectionsMax, async (data) => {
    const place = { lineage, data };
    try {
      if (endOfName(data) > chain.end) {
        if (readsAll) await readData(repository, place, signal);
        onProblem({ name: data.name, message: `nothing that fits is kept before it, from offset ${chain.end}` });
        return;
      }
      const read = readsAll ? await readData(repository, place, signal) : undefined;
      const header = read?.header ?? (await readDataHeader(repository, place, signal));
      const message = chain.contradiction(header);
      if (message !== undefined) onProblem({ name: data.name, message });
    } catch (error) {
      if (!isAppError(error, 'REPOSITORY_DAMAGED')) {
        if (isMissing(error)) return; // Its bytes are not needed.
        throw error;
      }
      onProblem({ name: data.name, message: messageOf(error.cause ?? error) });
    }
  });
}

/** Reads what is likely to come next while the caller is busy; an open segment may consist of many small parts. */
class ReadAhead implements AsyncDisposable {
  readonly #repository: Repository;
  readonly #options: StreamOptions;
  readonly #stop = new AbortController();
  readonly #signal: AbortSignal;
  readonly #underWay = new Map<DataName, Promise<ReadData | Error>>();

  constructor(repository: Repository, options: StreamOptions) {
    this.#repository = repository;
    this.#options = options;
    this.#signal = AbortSignal.any([options.signal, this.#stop.signal]);
  }

  /** Resolves with the error of a damaged object; rejects with any other. */
  async read(data: DataName, nextAt: (at: number) => DataName | undefined): Promise<ReadData | Error> {
    let bytes = 0;
    for (let next: DataName | undefined = data; next !== undefined; next = nextAt(endOfName(next))) {
      bytes += next.lengthBytes;
      const isFull = this.#underWay.size >= this.#repository.store.properties.connectionsMax;
      if (next !== data && (isFull || bytes > readAheadMaxBytes)) break;
      if (!this.#underWay.has(next)) void this.#begin(next);
    }
    const reading = this.#underWay.get(data) ?? this.#begin(data);
    try {
      return await reading;
    } finally {
      this.#underWay.delete(data);
    }
  }

  #begin(data: DataName): Promise<ReadData | Error> {
    const reading = readData(this.#repository, { lineage: this.#options.lineage, data }, this.#signal).catch(
      (error: unknown) => {
        if (isAppError(error, 'REPOSITORY_DAMAGED')) return error;
        throw error;
      },
    );
    reading.catch(() => undefined); // Heard of by who waits for it, if anybody still does.
    this.#underWay.set(data, reading);
    return reading;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await Promise.allSettled(this.#underWay.values());
  }
}
