// The audit log as a chain: each entry's hash covers its content and the hash before it, signed checkpoints pin it down. Finds what was
// changed, removed or put elsewhere, and says which.
import { createHash } from 'node:crypto';
import type { AuditCheckpointRow } from '../catalog/audit-checkpoints.ts';
import type { AuditEntryRow } from '../catalog/audit-entries.ts';
import { auditKeyId, isSignedBy } from './audit-key.ts';
import { canonicalJson } from './canonical-json.ts';

/** A checkpoint follows at the latest after so many entries, and after a day. */
export const entriesPerCheckpoint = 100;
export const prunedAction = 'audit.pruned';

/** Of all but the hash itself. */
export function hashOf(entry: AuditEntryRow): string {
  return createHash('sha256')
    .update(canonicalJson({ ...entry, hash: '' }))
    .digest('hex');
}

/** What a signature covers. */
export function checkpointText({ number, hash, atMs, keyId }: Omit<AuditCheckpointRow, 'signature'>): string {
  return canonicalJson({ kind: 'lifeboat audit checkpoint', number, hash, atMs, keyId });
}

export interface KnownOfChain {
  /** Where the log says that it ends. */
  readonly head: Place;
  readonly checkpoints: readonly AuditCheckpointRow[];
  /** Public keys, PEM. */
  readonly keys: readonly string[];
  /** Only these count; all of `keys` if absent. */
  readonly trustedKeyIds?: readonly string[] | undefined;
  /** An end of the log that was noted outside. */
  readonly outsideHead?: Place | undefined;
}

interface Place {
  readonly number: number;
  readonly hash: string;
}

export interface ChainProblem {
  readonly number: number;
  readonly problem: string;
}

export interface ChainVerification {
  readonly entries: number;
  readonly first: number | undefined;
  readonly head: Place;
  readonly checkpoints: number;
  /** Keys of the checkpoints, with how many each signed. */
  readonly signedBy: Readonly<Record<string, number>>;
  /** At most `problemsMax`. */
  readonly problems: readonly ChainProblem[];
}

const problemsMax = 100;

export async function verifyChain(
  entries: AsyncIterable<AuditEntryRow> | Iterable<AuditEntryRow>,
  known: KnownOfChain,
): Promise<ChainVerification> {
  const chain = new Chain(known);
  for await (const entry of entries) chain.add(entry);
  return chain.end();
}

class Chain {
  readonly #known: KnownOfChain;
  readonly #checkpoints: ReadonlyMap<number, AuditCheckpointRow>;
  readonly #problems: ChainProblem[] = [];
  #entries = 0;
  #first: AuditEntryRow | undefined;
  #last: AuditEntryRow | undefined;
  /** Up to where the log itself says that it was pruned. */
  #prunedUpTo = 0;

  constructor(known: KnownOfChain) {
    this.#known = known;
    this.#checkpoints = new Map(known.checkpoints.map((checkpoint) => [checkpoint.number, checkpoint]));
  }

  add(entry: AuditEntryRow): void {
    const { number } = entry;
    const isWhole = hashOf(entry) === entry.hash;
    if (!isWhole) this.#report(number, 'was changed: its content does not fit its hash');
    const last = this.#last;
    if (last !== undefined && number !== last.number + 1) this.#reportMissing(last.number + 1, number - 1);
    else if (last !== undefined && isWhole && entry.previousHash !== last.hash) {
      this.#report(last.number, `was replaced: entry ${number} was written behind another one`);
    }
    for (const [what, place] of [
      ['a signed checkpoint', this.#checkpoints.get(number)],
      ['what was noted outside', this.#known.outsideHead],
    ] as const) {
      if (place?.number === number && place.hash !== entry.hash) this.#report(number, `differs from ${what}`);
    }
    if (isWhole && entry.action === prunedAction) this.#prunedUpTo = Math.max(this.#prunedUpTo, prunedUpTo(entry));
    this.#entries += 1;
    this.#first ??= entry;
    this.#last = entry;
  }

  end(): ChainVerification {
    this.#checkBeginning();
    this.#checkEnd();
    const signedBy = this.#checkSignatures();
    return {
      entries: this.#entries,
      first: this.#first?.number,
      head: { number: this.#known.head.number, hash: this.#known.head.hash },
      checkpoints: this.#checkpoints.size,
      signedBy,
      problems: this.#problems.toSorted((one, other) => one.number - other.number).slice(0, problemsMax),
    };
  }

  #checkBeginning(): void {
    const first = this.#first;
    if (first === undefined) return;
    const before = first.number - 1;
    if (before === 0) {
      if (first.previousHash !== '') this.#report(1, 'is not the first that was written');
    } else if (this.#prunedUpTo !== before) this.#reportMissing(this.#prunedUpTo + 1, before);
    else if (this.#checkpoints.get(before)?.hash !== first.previousHash) {
      this.#report(first.number, 'does not follow the checkpoint up to which the log was pruned');
    }
  }

  #checkEnd(): void {
    const { head, outsideHead } = this.#known;
    const lastNumber = this.#last?.number ?? 0;
    if (lastNumber < head.number) this.#reportMissing(lastNumber + 1, head.number);
    else if (lastNumber > 0 && this.#last?.hash !== head.hash) this.#report(lastNumber, 'was replaced');
    if (outsideHead !== undefined && outsideHead.number > lastNumber && outsideHead.number > head.number) {
      this.#reportMissing(head.number + 1, outsideHead.number);
    }
  }

  /** Also that none is missing: a chain that was written anew has no signatures. */
  #checkSignatures(): Record<string, number> {
    const keys = new Map(this.#known.keys.map((key) => [auditKeyId(key), key]));
    const trusted = this.#known.trustedKeyIds;
    const signedBy: Record<string, number> = {};
    let signedUpTo = (this.#first?.number ?? 1) - 1;
    for (const checkpoint of this.#checkpoints.values()) {
      const { number, keyId, signature } = checkpoint;
      const key = keys.get(keyId);
      const isTrusted = trusted === undefined || trusted.includes(keyId);
      if (key === undefined || !isTrusted)
        this.#report(number, `has a checkpoint of key ${keyId}, which is not trusted`);
      else if (!isSignedBy(key, checkpointText(checkpoint), signature))
        this.#report(number, 'has a checkpoint whose signature is wrong');
      else {
        signedBy[keyId] = (signedBy[keyId] ?? 0) + 1;
        if (number > signedUpTo + entriesPerCheckpoint)
          this.#report(signedUpTo + entriesPerCheckpoint, 'lacks its checkpoint');
        signedUpTo = Math.max(signedUpTo, number);
      }
    }
    if ((this.#last?.number ?? 0) >= signedUpTo + entriesPerCheckpoint)
      this.#report(signedUpTo + entriesPerCheckpoint, 'lacks its checkpoint');
    return signedBy;
  }

  #report(number: number, problem: string): void {
    this.#problems.push({ number, problem });
  }

  #reportMissing(from: number, to: number): void {
    this.#report(from, from === to ? 'is missing' : `is missing, and all up to entry ${to}`);
  }
}

function prunedUpTo({ details }: AuditEntryRow): number {
  const { upTo } = JSON.parse(details) as { readonly upTo?: unknown };
  return typeof upTo === 'number' ? upTo : 0;
}
