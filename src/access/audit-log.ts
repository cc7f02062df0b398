// Writes the audit log: one entry at a time, in the transaction of what it tells of, so that neither is there without the other.
import assert from 'node:assert/strict';
import type { JsonObject } from '../base/json.ts';
import {
  allAuditKeys,
  allCheckpoints,
  checkpointAtOrBefore,
  deleteCheckpointsBefore,
  insertAuditKey,
  insertCheckpoint,
} from '../catalog/audit-checkpoints.ts';
import {
  auditEntriesInOrder,
  auditHead,
  deleteAuditEntriesUpTo,
  firstAuditEntrySince,
  insertAuditEntry,
  takeAuditHead,
} from '../catalog/audit-entries.ts';
import type { Catalog, Queries } from '../catalog/catalog.ts';
import {
  checkpointText,
  entriesPerCheckpoint,
  hashOf,
  prunedAction,
  verifyChain,
  type ChainVerification,
  type KnownOfChain,
} from './audit-chain.ts';
import { openAuditSigner, type AuditSigner } from './audit-key.ts';
import { canonicalJson } from './canonical-json.ts';

const dayMs = 24 * 3_600_000;
/** Entries younger than this are kept (design.md §9). */
const auditKeptMs = 366 * dayMs;
const detailsMaxLength = 8192;

export interface AuditLog {
  readonly catalog: Catalog;
  /** Loaded when the first checkpoint is due. */
  readonly signer: () => Promise<AuditSigner>;
}

export function auditLogOf(catalog: Catalog, stateFolder: string): AuditLog {
  let signer: Promise<AuditSigner> | undefined;
  return { catalog, signer: () => (signer ??= openAuditSigner(stateFolder)) };
}

/** Who did it. */
export interface Actor {
  readonly kind: 'user' | 'token' | 'machine' | 'nobody';
  readonly id: string;
  readonly name: string;
  /** Where the request came from; empty on the machine itself. */
  readonly address: string;
}

/** The service itself, at work on its own. */
export const systemActor: Actor = { kind: 'machine', id: 'lifeboat', name: 'lifeboat', address: '' };

export interface AuditRecord {
  readonly actor: Actor;
  /** `token.created`, `run.cancelled` … */
  readonly action: string;
  /** `done` if absent. */
  readonly outcome?: 'done' | 'refused' | 'failed';
  readonly application?: string | undefined;
  /** What it was done to: an id or a name. */
  readonly target?: string | undefined;
  /** No secret, and nothing that a stranger may fill without end. */
  readonly details?: JsonObject;
}

/** Within `trx`, if it tells of what happens there; nothing may wait for another row after it. */
export async function appendAudit(log: AuditLog, record: AuditRecord, trx?: Queries): Promise<void> {
  await (trx === undefined ? log.catalog.transaction((own) => append(log, record, own)) : append(log, record, trx));
}

async function append({ catalog, signer }: AuditLog, record: AuditRecord, trx: Queries): Promise<void> {
  const { actor, action, outcome = 'done', application, target, details = {} } = record;
  const text = canonicalJson(details);
  assert(text.length <= detailsMaxLength, `details of ${action} are ${text.length} characters long`);
  const head = await takeAuditHead(trx);
  const content = {
    number: head.number + 1,
    atMs: await catalog.nowMs(trx),
    actorKind: actor.kind,
    actorId: actor.id,
    actorName: actor.name,
    address: actor.address,
    action,
    application: application ?? null,
    target: target ?? null,
    outcome,
    details: text,
    previousHash: head.hash,
    hash: '',
  };
  const entry = { ...content, hash: hashOf(content) };
  await insertAuditEntry(trx, entry);
  const { number, hash, atMs } = entry;
  const isDue = number - head.checkpointNumber >= entriesPerCheckpoint || atMs - head.checkpointAtMs >= dayMs;
  if (!isDue) return;
  const { keyId, publicKey, sign } = await signer();
  await insertAuditKey(catalog, { id: keyId, publicKey }, trx);
  const checkpoint = { number, hash, atMs, keyId };
  await insertCheckpoint(trx, { ...checkpoint, signature: sign(checkpointText(checkpoint)) });
}

/** Removes what is older, up to a checkpoint from which the rest can still be checked. Returns how many entries went. */
export async function pruneAudit(log: AuditLog, keptMs: number = auditKeptMs): Promise<number> {
  return log.catalog.transaction(async (trx) => {
    const head = await takeAuditHead(trx);
    const kept = (await firstAuditEntrySince(trx, (await log.catalog.nowMs(trx)) - keptMs)) ?? head.number;
    const checkpoint = await checkpointAtOrBefore(trx, kept - 1);
    if (checkpoint === undefined) return 0;
    const { number: upTo } = checkpoint;
    const removed = await deleteAuditEntriesUpTo(trx, upTo);
    if (removed === 0) return 0;
    await deleteCheckpointsBefore(trx, upTo);
    await append(log, { actor: systemActor, action: prunedAction, details: { upTo, removed } }, trx);
    return removed;
  });
}

/** Reads the whole log. What is appended meanwhile is looked at next time. */
export async function verifyAudit(
  { catalog }: Pick<AuditLog, 'catalog'>,
  more: Pick<KnownOfChain, 'trustedKeyIds' | 'outsideHead'> = {},
): Promise<ChainVerification> {
  const head = await auditHead(catalog);
  const checkpoints = await allCheckpoints(catalog);
  const keys = await allAuditKeys(catalog);
  return verifyChain(endingAt(auditEntriesInOrder(catalog), head.number), {
    head,
    checkpoints: checkpoints.filter(({ number }) => number <= head.number),
    keys: keys.map(({ publicKey }) => publicKey),
    ...more,
  });
}

async function* endingAt<Entry extends { readonly number: number }>(entries: AsyncIterable<Entry>, last: number) {
  for await (const entry of entries) {
    if (entry.number > last) return;
    yield entry;
  }
}
