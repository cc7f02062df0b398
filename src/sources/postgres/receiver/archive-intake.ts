// Brings the files that `journal push` has kept into the journal, in order, checked as a stream is, and lets them go once they are
// safe there.
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Clock } from '../../../base/clock.ts';
import { isAppError } from '../../../base/errors.ts';
import type { JournalEvents, JournalPosition, JournalTarget } from '../../journal.ts';
import { timelineBranch } from '../lineage.ts';
import { lsnOf, positionOf, type Lsn } from '../wal/lsn.ts';
import { RecordWalker } from '../wal/record-walker.ts';
import { historyName, parseWalFileName } from '../wal/segment-name.ts';
import { IncomingFolder, type System } from './incoming-folder.ts';
import { OpenBranch } from './open-branch.ts';
import { damagedWal, holeInArchive, missingHistory, otherBytes } from './receiver-findings.ts';
import { WalIntake } from './wal-intake.ts';

export interface ArchiveIntakeOptions {
  readonly folder: string;
  readonly target: JournalTarget;
  readonly events: JournalEvents;
  readonly clock: Clock;
  readonly pollMs?: number;
  /** A segment that does not come while later ones do was lost. */
  readonly holeWaitMs?: number;
}

const pollDefaultMs = 500;
/** Archivers try again after a minute. */
const holeWaitDefaultMs = 5 * 60_000;
const pieceBytes = 1024 * 1024;

/** Until aborted. */
export async function receivePushed(options: ArchiveIntakeOptions, signal: AbortSignal): Promise<void> {
  const { folder, target, clock, pollMs = pollDefaultMs } = options;
  const incoming = await IncomingFolder.open(folder);
  await incoming.tidy(clock.now());
  await using branch = new OpenBranch(target, { acceptsOtherSystem: true });
  const intake = new ArchiveIntake(incoming, branch, options);
  try {
    for (;;) {
      await intake.takeWaiting(signal);
      await sleep(pollMs, undefined, { signal });
    }
  } catch (error) {
    if (!signal.aborted) throw branch.signal?.aborted === true ? branch.signal.reason : error;
  }
}

interface WaitingFile {
  readonly name: string;
  readonly kind: 'segment' | 'partial';
  readonly timeline: number;
  readonly segment: number;
}

/** Taken in, and not yet safe in each place that was promised. */
interface TakenFile {
  readonly lineage: string;
  readonly name: string;
  readonly hash: string;
  readonly end: Lsn;
}

class ArchiveIntake {
  readonly #incoming: IncomingFolder;
  readonly #branch: OpenBranch;
  readonly #options: ArchiveIntakeOptions;
  #intake: WalIntake | undefined;
  #taken: TakenFile[] = [];
  /** What is missing before a file, and how long it was looked for: a clock may be set meanwhile. */
  #hole: { readonly name: string; readonly waitedMs: number } | undefined;
  readonly #told = new Set<string>();

  constructor(incoming: IncomingFolder, branch: OpenBranch, options: ArchiveIntakeOptions) {
    this.#incoming = incoming;
    this.#branch = branch;
    this.#options = options;
  }

  /** All files that wait, as far as they follow on one another. */
  async takeWaiting(signal: AbortSignal): Promise<void> {
    const names = await this.#incoming.waiting();
    for (const name of names) if (name.endsWith('.history')) await this.#incoming.takeHistory(name);
    const system = await this.#incoming.system();
    if (system === undefined) return;
    const files = names.flatMap((name) => waitingFile(name, system)).toSorted(inOrder);
    for (const file of files) {
      if (this.#taken.some(({ name }) => name === file.name)) continue;
      if (!(await this.#take(file, system, signal))) break;
      await this.#letGo(signal);
    }
    await this.#letGo(signal);
  }

  /** False if something that comes before is still missing. */
  async #take(file: WaitingFile, system: System, signal: AbortSignal): Promise<boolean> {
    const { name } = file;
    const isReady = await this.#openBranch(file, system, signal);
    if (!isReady) return false;
    const bytes = await readFile(this.#incoming.file(name));
    const hash = createHash('sha256').update(bytes).digest('hex');
    const known = await this.#incoming.takenHash(name);
    if (known !== undefined && known !== hash) return this.#refuse(name);
    if (known !== undefined) {
      await this.#incoming.forget(name, hash);
      return true;
    }
    try {
      const end = await this.#feed(file, { system, bytes }, signal);
      this.#taken.push({ lineage: this.#branch.sink.branch.lineage, name, hash, end });
    } catch (error) {
      this.#intake = undefined;
      if (isAppError(error, 'JOURNAL_FORKED')) return this.#refuse(name);
      throw error;
    }
    return true;
  }

  /** False if the history of the timeline is missing, or a segment before this one. */
  async #openBranch(file: WaitingFile, system: System, signal: AbortSignal): Promise<boolean> {
    const { timeline } = file;
    const history = timeline === 1 ? undefined : await this.#incoming.history(historyName(timeline));
    if (timeline > 1 && history === undefined) {
      this.#tellOnce(historyName(timeline), () => this.#options.events.warn(missingHistory(timeline)));
      return false;
    }
    const branch = timelineBranch({ ...system, timeline, history });
    if (this.#branch.lineage !== branch.lineage) this.#intake = undefined;
    const sink = await this.#branch.open(branch, signal);
    return this.#closeHole(file, sink.resumeAt(), signal);
  }

  /** Returns the end of what is WAL in the file. */
  async #feed(
    { kind, timeline, segment }: WaitingFile,
    { system, bytes }: { readonly system: System; readonly bytes: Buffer },
    signal: AbortSignal,
  ): Promise<Lsn> {
    const start = lsnOf({ segment, offset: 0 }, system.segmentBytes);
    if (this.#intake?.received !== start) this.#intake = this.#intakeAt(start, { system, timeline }, signal);
    const valid = kind === 'partial' ? bytes.subarray(0, validBytes(bytes, start, { system, timeline })) : bytes;
    for (let at = 0; at < valid.length; at += pieceBytes) {
      const piece = valid.subarray(at, at + pieceBytes);
      await this.#intake.take(start + BigInt(at), piece, undefined);
    }
    await this.#intake.flush();
    if (kind === 'partial') this.#intake = undefined;
    return start + BigInt(valid.length);
  }

  /** Whether the segment follows on what is kept; one that is waited for in vain was lost. */
  async #closeHole(file: WaitingFile, resume: JournalPosition | undefined, signal: AbortSignal): Promise<boolean> {
    const { events, pollMs = pollDefaultMs, holeWaitMs = holeWaitDefaultMs } = this.#options;
    const { sink } = this.#branch;
    const { segmentBytes } = sink.branch;
    const start = lsnOf({ segment: file.segment, offset: 0 }, segmentBytes);
    const held = this.#intake?.received;
    if (resume === undefined || start <= lsnOf(resume, segmentBytes) || start === held) return true;
    const waitedMs = this.#hole?.name === file.name ? this.#hole.waitedMs + pollMs : 0;
    this.#hole = { name: file.name, waitedMs };
    if (waitedMs < holeWaitMs) return false;
    const to = { segment: file.segment, offset: 0 };
    const { reason, finding } = holeInArchive(resume, to, segmentBytes);
    await sink.gap({ from: resume, to, reason }, signal);
    events.warn(finding);
    events.needsBase(reason);
    return true;
  }

  async #refuse(name: string): Promise<true> {
    await this.#incoming.refuse(name);
    this.#options.events.warn(otherBytes(name, this.#incoming.path));
    return true;
  }

  /** Files of which all is safe are needed no more. */
  async #letGo(signal: AbortSignal): Promise<void> {
    const { lineage } = this.#branch;
    if (this.#taken.length === 0 || lineage === undefined) return;
    const { sink } = this.#branch;
    const promised = await sink.sync(signal);
    if (promised === undefined) return;
    const { segmentBytes } = sink.branch;
    const safe = lsnOf(promised, segmentBytes);
    const isSafe = (file: TakenFile): boolean => file.lineage === lineage && file.end <= safe;
    for (const { name, hash } of this.#taken.filter(isSafe)) await this.#incoming.forget(name, hash);
    this.#taken = this.#taken.filter((file) => !isSafe(file));
    const end = positionOf(safe, segmentBytes);
    // Not `complete`: a file tells when it was filled by the changes in it alone. What the server did since is in no file yet, so up to
    // when nothing was missing is the time of the newest change in the newest file, which its facts tell.
    const serverTimeMs = this.#options.clock.now();
    this.#options.events.progress({ lineage, serverEnd: end, receivedEnd: end, serverTimeMs });
  }

  #intakeAt(
    start: Lsn,
    { system, timeline }: { readonly system: System; readonly timeline: number },
    signal: AbortSignal,
  ): WalIntake {
    const { major, systemIdentifier } = system;
    const { events } = this.#options;
    return new WalIntake({
      isOrigin: false,
      sink: this.#branch.sink,
      signal,
      start,
      timeline,
      major,
      systemIdentifier,
      // A file is what it is.
      isAccepted: () => true,
      onAcceptedDamage: (stop) => {
        const { finding, reason } = damagedWal(stop);
        events.warn(finding);
        events.needsBase(reason);
      },
    });
  }

  #tellOnce(key: string, tell: () => void): void {
    if (this.#told.has(key)) return;
    this.#told.add(key);
    tell();
  }
}

function waitingFile(name: string, { segmentBytes }: System): WaitingFile[] {
  const parsed = parseWalFileName(name, segmentBytes);
  return parsed?.kind === 'segment' || parsed?.kind === 'partial' ? [{ name, ...parsed }] : [];
}

const inOrder = (left: WaitingFile, right: WaitingFile): number =>
  left.timeline - right.timeline || left.segment - right.segment || (left.kind === 'segment' ? -1 : 1);

/** How much of the last segment of a timeline is WAL; what follows is left over from an older use of the file. */
function validBytes(
  bytes: Buffer,
  startLsn: Lsn,
  { system, timeline }: { readonly system: System; readonly timeline: number },
): number {
  const { segmentBytes, major, systemIdentifier } = system;
  const options = { startLsn, segmentBytes, major, systemIdentifier: BigInt(systemIdentifier), timeline };
  const walker = new RecordWalker(options, () => undefined);
  walker.push(bytes);
  return Math.min(bytes.length, Number((walker.recordsEnd ?? startLsn) - startLsn));
}
