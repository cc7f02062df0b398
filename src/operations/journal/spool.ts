// The spool of one component: a folder on a local disk where a journal is durable before anybody else has it. What was
// acknowledged is there after any crash; what was shipped everywhere goes.
import { createHash, randomBytes } from 'node:crypto';
import { chmod, mkdir, readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import type { Clock } from '../../base/clock.ts';
import { lockFolder } from '../../base/folder-lock.ts';
import { AppError, errnoOf } from '../../base/errors.ts';
import { formatByteSize } from '../../base/byte-size.ts';
import type { Random } from '../../base/random.ts';
import type { JournalBranch } from '../../sources/journal.ts';
import { syncFolder, writeAtomically } from '../../storage/atomic-write.ts';
import type { Sleep } from '../../storage/interruption.ts';
import { branchFileName, SpoolBranch } from './spool-branch.ts';
import { isDiskFull, spoolError } from './spool-errors.ts';
import { SpoolRoom, type SpoolRoomOptions } from './spool-room.ts';

export interface SpoolOptions {
  readonly folder: string;
  /** What it may hold at most; beyond, nothing is acknowledged. */
  readonly maxBytes: number;
  readonly events: SpoolRoomOptions['events'];
  readonly clock: Clock;
  readonly random: Random;
  readonly sleep: Sleep;
}

/** The newest sealed segment stays, one is being written, and one at least must be able to wait. */
const segmentsMin = 4;
const branchPrefix = 'branch-';
const identityFile = 'spool.json';
const identitySchema = z.object({
  format: z.literal(1),
  writer: z.string().regex(/^[0-9a-f]{16}$/),
  epoch: z.int().nonnegative(),
});

export class Spool implements AsyncDisposable {
  /** Names this spool in the repositories: whoever has the spool goes on under it. */
  readonly writer: string;
  readonly room: SpoolRoom;
  readonly #options: SpoolOptions;
  readonly #lock: Disposable;
  readonly #branches = new Map<string, SpoolBranch>();
  #epoch: number;

  private constructor(options: SpoolOptions, own: Identity & { readonly lock: Disposable }) {
    this.writer = own.writer;
    this.#epoch = own.epoch;
    this.#options = options;
    this.#lock = own.lock;
    this.room = new SpoolRoom(options);
  }

  static async open(options: SpoolOptions): Promise<Spool> {
    const { folder } = options;
    try {
      await mkdir(folder, { recursive: true, mode: 0o700 });
      await chmod(folder, 0o700);
      const lock = await lockFolder(folder, {
        what: 'the spool',
        hint: 'Stop that receiver, or give this one a spool of its own.',
        sinceMs: options.clock.now(),
      });
      try {
        const spool = new Spool(options, { ...(await identify(options)), lock });
        await spool.#readBranches();
        return spool;
      } catch (error) {
        lock[Symbol.dispose]();
        throw error;
      }
    } catch (error) {
      throw spoolError(error, `open the spool ${folder}`);
    }
  }

  async #readBranches(): Promise<void> {
    const { folder } = this.#options;
    for (const name of await readdir(folder)) {
      const path = join(folder, name);
      // One without its file was being made when the process ended: nothing had come yet.
      if (!name.startsWith(branchPrefix) || !(await isFile(join(path, branchFileName)))) continue;
      const branch = await SpoolBranch.open({ folder: path, room: this.room, random: this.#options.random });
      this.#branches.set(branch.branch.lineage, branch);
    }
  }

  /** The highest epoch that this spool ever shipped under: it goes on above it, also where a repository lost its leases. */
  get seenEpoch(): number {
    return this.#epoch;
  }

  async rememberEpoch(epoch: number): Promise<void> {
    if (epoch <= this.#epoch) return;
    this.#epoch = epoch;
    try {
      await writeIdentity(this.#options, { writer: this.writer, epoch });
    } catch (error) {
      // The repositories remember it as well.
      if (!isDiskFull(error)) throw spoolError(error, `write to the spool ${this.#options.folder}`);
    }
  }

  /** In the order in which they were opened first. */
  branches(): SpoolBranch[] {
    return [...this.#branches.values()].toSorted((left, right) => left.openedAtMs - right.openedAtMs);
  }

  find(lineage: string): SpoolBranch | undefined {
    return this.#branches.get(lineage);
  }

  async open(branch: JournalBranch, signal: AbortSignal): Promise<SpoolBranch> {
    const leastBytes = segmentsMin * branch.segmentBytes;
    if (this.room.maxBytes < leastBytes) {
      throw new AppError(
        'CONFIG_INVALID',
        `a spool of ${formatByteSize(this.room.maxBytes)} is too small for segments of ${formatByteSize(branch.segmentBytes)}`,
        { hint: `Allow the spool at least ${formatByteSize(leastBytes)}.` },
      );
    }
    const found = this.#branches.get(branch.lineage);
    if (found !== undefined) {
      if (found.branch.segmentBytes !== branch.segmentBytes) throw otherBranch(found.branch, branch);
      return found;
    }
    const { folder, clock, random } = this.#options;
    const name = createHash('sha256').update(branch.lineage).digest('hex').slice(0, 24);
    const path = join(folder, `${branchPrefix}${name}`);
    const newest = this.branches().at(-1)?.openedAtMs ?? 0;
    const content = { ...branch, openedAtMs: Math.max(clock.now(), newest + 1), gaps: [] };
    const made = await this.room.onDisk(async () => {
      await mkdir(path, { recursive: true, mode: 0o700 });
      await syncFolder(folder);
      return SpoolBranch.create(content, { folder: path, room: this.room, random });
    }, signal);
    this.#branches.set(branch.lineage, made);
    return made;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      for (const branch of this.#branches.values()) await branch[Symbol.asyncDispose]();
    } finally {
      this.#lock[Symbol.dispose]();
    }
  }
}

type Identity = Pick<z.infer<typeof identitySchema>, 'writer' | 'epoch'>;

async function identify(options: SpoolOptions): Promise<Identity> {
  const path = join(options.folder, identityFile);
  if (await isFile(path)) return identitySchema.parse(JSON.parse(await readFile(path, 'utf8')));
  const identity = { writer: randomBytes(8).toString('hex'), epoch: 0 };
  await writeIdentity(options, identity);
  return identity;
}

async function writeIdentity({ folder, random }: SpoolOptions, { writer, epoch }: Identity): Promise<void> {
  const bytes = Buffer.from(`${JSON.stringify({ format: 1, writer, epoch })}\n`);
  await writeAtomically(join(folder, identityFile), [bytes], { fileMode: 0o600, isDurable: true, random });
}

async function isFile(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isFile();
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return false;
    throw error;
  }
}

function otherBranch(kept: JournalBranch, given: JournalBranch): AppError {
  return new AppError(
    'JOURNAL_FORKED',
    `the spool keeps ${kept.lineage} in segments of ${kept.segmentBytes} bytes, and now they have ${given.segmentBytes}`,
    { hint: 'Look at which server sends it; empty the spool if its segment size was changed on purpose.' },
  );
}
