// Carries to one repository what decide-shipping.ts decided for one branch, and knows how far it got.
import { forEachLimited } from '../../base/for-each-limited.ts';
import type { FrameSealer } from '../../repository/journal/frame-sealer.ts';
import type { JournalLease } from '../../repository/journal/lease.ts';
import type { SegmentSource } from '../../repository/journal/replace.ts';
import { openJournal, partMaxBytes, type JournalWriter } from '../../repository/journal/writer.ts';
import type { Repository } from '../../repository/repository.ts';
import type { JournalGap, JournalPosition } from '../../sources/journal.ts';
import { decideShipping, heldEnd, isHeld, isJoinable, type HeldSegment, type ShippingStep } from './decide-shipping.ts';
import { SegmentDamage } from './segment-file.ts';
import type { SpoolBranch, SpooledSegment } from './spool-branch.ts';

/** More parts of one segment are joined: each costs a request when it is read. */
const partsMax = 64;
const sealsAtOnce = 3;
/** A stretch that is shipped in one go; then the spool is cleared and the progress told. */
const stretchMaxBytes = 256 * 1024 * 1024;
/** Within so many segments from the end some may be missing in a repository while later ones are there. */
export const stretchSegmentsMax = 32;
/** The most that a repository asks for at once. */
const readMaxBytes = 1024 * 1024;

export interface ShippingPass {
  /** False: complete segments alone, since the next part is not due. */
  readonly withParts: boolean;
  readonly signal: AbortSignal;
}

export interface Shipped {
  readonly shippedBytes: number;
  /** False if there is more that is due. */
  readonly isDone: boolean;
}

export interface OpenShippingOptions {
  readonly branch: SpoolBranch;
  /** Whose journal it is. */
  readonly family: string;
  readonly lease: JournalLease;
  readonly sealer: FrameSealer;
  readonly signal: AbortSignal;
}

export class BranchShipping {
  readonly #branch: SpoolBranch;
  readonly #writer: JournalWriter;
  readonly #held: {
    readonly segments: Map<number, HeldSegment>;
    readonly gaps: Pick<JournalGap, 'from' | 'to'>[];
    readonly foundEnd: JournalPosition | undefined;
    isJoined: boolean;
  };

  private constructor(branch: SpoolBranch, writer: JournalWriter) {
    const { stretches, gaps } = writer.opened;
    this.#branch = branch;
    this.#writer = writer;
    const oldest = branch.segments()[0]?.segment ?? Infinity;
    const held = stretches
      .filter(({ segment, from }) => segment >= oldest && from === 0)
      .map(({ segment, to, isSealed }) => [segment, { sizeBytes: to, isSealed }] as const);
    const segments = new Map<number, HeldSegment>(held);
    // Of the newest segment only what could be verified counts.
    const { end } = writer;
    if (end !== undefined && end.offset > 0 && segments.has(end.segment))
      segments.set(end.segment, { sizeBytes: end.offset, isSealed: false });
    this.#held = { segments, gaps: [...gaps], foundEnd: end, isJoined: false };
  }

  static async open(
    repository: Repository,
    { branch, family, lease, sealer, signal }: OpenShippingOptions,
  ): Promise<BranchShipping> {
    const { epoch, writer } = lease;
    const opened = await openJournal(repository, { branch: branch.branch, family, epoch, writer, sealer, signal });
    return new BranchShipping(branch, opened);
  }

  /** Whether all that the spool has of a segment is in the repository. */
  holds(segment: SpooledSegment): boolean {
    return isHeld(segment, this.#held.segments.get(segment.segment));
  }

  /** Up to where all is in the repository. */
  end(): JournalPosition | undefined {
    return heldEnd(this.#spooled(), this.#held);
  }

  #spooled() {
    return { segments: this.#branch.segments(), gaps: this.#branch.gaps };
  }

  /** Ships a stretch of what is due, oldest first. */
  async ship({ withParts, signal }: ShippingPass): Promise<Shipped> {
    const spooled = this.#spooled();
    const steps = decideShipping(spooled, this.#held).filter(({ kind }) => withParts || kind !== 'part');
    for (const step of steps) if (step.kind === 'gap') await this.#recordGap(step.gap, signal);
    this.#held.isJoined ||= isJoinable(spooled, this.#held);
    const data = steps.filter((step) => step.kind !== 'gap');
    const stretch = data.slice(0, stepsWithin(data));
    let shippedBytes = 0;
    for (const run of runsOf(stretch)) {
      await forEachLimited(run, sealsAtOnce, async (step) => {
        if (step.kind === 'seal') await this.#seal(step.segment, signal);
        else await this.#put(step, signal);
        shippedBytes += step.segment.sizeBytes - (step.kind === 'part' ? step.fromBytes : 0);
      });
    }
    return { shippedBytes, isDone: stretch.length === data.length };
  }

  async #recordGap(gap: JournalGap, signal: AbortSignal): Promise<void> {
    await this.#writer.recordGap(gap, signal);
    this.#held.gaps.push(gap);
  }

  async #seal(spooled: SpooledSegment, signal: AbortSignal): Promise<void> {
    const { segment, sizeBytes, facts } = spooled;
    await this.#reading(segment, async (read) => {
      await this.#writer.sealSegment({ segment, sizeBytes, facts, read }, signal);
      this.#held.segments.set(segment, { sizeBytes, isSealed: true });
    });
  }

  async #put({ segment: spooled, fromBytes }: PartStep, signal: AbortSignal): Promise<void> {
    const { segment, sizeBytes, facts } = spooled;
    await this.#reading(segment, async (read) => {
      for (let offset = fromBytes; offset < sizeBytes;) {
        const bytes = Buffer.allocUnsafe(Math.min(partMaxBytes, sizeBytes - offset));
        for (let at = 0; at < bytes.length; at += readMaxBytes) {
          await read(offset + at, bytes.subarray(at, at + readMaxBytes));
        }
        await this.#writer.putPart({ segment, offset, bytes, facts }, signal);
        offset += bytes.length;
        this.#held.segments.set(segment, { sizeBytes: offset, isSealed: false });
      }
      if (this.#writer.partCount(segment) >= partsMax)
        await this.#writer.consolidate({ segment, sizeBytes, facts, read }, signal);
    });
  }

  /** What the disk of the spool damaged is left out, as a gap; the rest goes on. */
  async #reading(segment: number, work: (read: SegmentSource['read']) => Promise<void>): Promise<void> {
    let damage: SegmentDamage | undefined;
    await using reader = await this.#branch.reader(segment);
    try {
      await work(async (offset, into) => {
        try {
          await reader.read(offset, into);
        } catch (error) {
          if (error instanceof SegmentDamage) damage = error;
          throw error;
        }
      });
    } catch (error) {
      if (damage === undefined) throw error;
      await this.#branch.condemn(segment, damage.message);
      throw damage;
    }
  }
}

type DataStep = Exclude<ShippingStep, { readonly kind: 'gap' }>;
type PartStep = Extract<ShippingStep, { readonly kind: 'part' }>;

/**
 * How many steps from the first make a stretch; one at least. By numbers of segments: what already overtook the first counts, or one
 * that never gets there would be left ever farther behind, and whoever comes after a lost spool would not find the hole.
 */
function stepsWithin(steps: readonly DataStep[]): number {
  const end = (steps[0]?.segment.segment ?? 0) + stretchSegmentsMax;
  let sizeBytes = 0;
  const over = steps.findIndex(
    ({ segment }) => segment.segment >= end || (sizeBytes += segment.sizeBytes) > stretchMaxBytes,
  );
  return over === -1 ? steps.length : Math.max(1, over);
}

/** Complete segments that follow one another go side by side, parts one by one. */
function runsOf(steps: readonly DataStep[]): DataStep[][] {
  const runs: DataStep[][] = [];
  for (const step of steps) {
    const last = runs.at(-1);
    if (last !== undefined && step.kind === 'seal' && last[0]?.kind === 'seal') last.push(step);
    else runs.push([step]);
  }
  return runs;
}
