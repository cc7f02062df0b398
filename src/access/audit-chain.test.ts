// Whatever is done to a chain, it is found, and what is named is what was done.
import { generateKeyPairSync, sign } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { AuditCheckpointRow } from '../catalog/audit-checkpoints.ts';
import type { AuditEntryRow } from '../catalog/audit-entries.ts';
import { checkpointText, entriesPerCheckpoint, hashOf, verifyChain, type KnownOfChain } from './audit-chain.ts';
import { auditKeyId } from './audit-key.ts';

const pair = generateKeyPairSync('ed25519');
const publicKey = pair.publicKey.export({ type: 'spki', format: 'pem' });
const keyId = auditKeyId(publicKey);

interface Chain extends Omit<KnownOfChain, 'checkpoints'> {
  readonly entries: AuditEntryRow[];
  readonly checkpoints: AuditCheckpointRow[];
}

function chainOf(length: number): Chain {
  const entries: AuditEntryRow[] = [];
  const checkpoints: AuditCheckpointRow[] = [];
  for (let number = 1; number <= length; number += 1) {
    const content = {
      number,
      atMs: 1_700_000_000_000 + number,
      actorKind: 'user',
      actorId: 'u1',
      actorName: 'alice',
      address: '192.0.2.1',
      action: 'token.created',
      application: number % 2 === 0 ? 'shop' : null,
      target: `token-${number}`,
      outcome: 'done',
      details: `{"n":${number}}`,
      previousHash: entries.at(-1)?.hash ?? '',
      hash: '',
    };
    entries.push({ ...content, hash: hashOf(content) });
    if ((number - 1) % entriesPerCheckpoint === 0) checkpoints.push(signed(entries.at(-1)));
  }
  return { entries, checkpoints, keys: [publicKey], head: headOf(entries) };
}

function signed(entry: AuditEntryRow | undefined): AuditCheckpointRow {
  const checkpoint = { number: entry?.number ?? 0, hash: entry?.hash ?? '', atMs: entry?.atMs ?? 0, keyId };
  const signature = sign(null, Buffer.from(checkpointText(checkpoint)), pair.privateKey).toString('base64');
  return { ...checkpoint, signature };
}

const headOf = (entries: readonly AuditEntryRow[]) => ({
  number: entries.at(-1)?.number ?? 0,
  hash: entries.at(-1)?.hash ?? '',
});

/** What somebody does who knows how the chain is made: all later hashes anew. */
function rehashed(entries: readonly AuditEntryRow[], from: number): AuditEntryRow[] {
  const out = entries.slice(0, from);
  for (const entry of entries.slice(from)) {
    const content = { ...entry, previousHash: out.at(-1)?.hash ?? '' };
    out.push({ ...content, hash: hashOf(content) });
  }
  return out;
}

async function problemsOf({ entries, ...known }: Chain): Promise<string[]> {
  const { problems } = await verifyChain(entries, known);
  return problems.map(({ number, problem }) => `${number} ${problem}`);
}

const length = 250;
const anyNumber = fc.integer({ min: 1, max: length });

describe('a chain', () => {
  test('that nobody touched has no problem, at any length', async () => {
    for (const size of [0, 1, 2, 100, 101, 250]) {
      const { entries, ...known } = chainOf(size);
      const verification = await verifyChain(entries, known);
      expect(verification).toMatchObject({ entries: size, problems: [], head: { number: size } });
      expect(verification.signedBy).toEqual(size === 0 ? {} : { [keyId]: Math.ceil(size / entriesPerCheckpoint) });
    }
  });

  test('names the entry of which any field was changed', async () => {
    const chain = chainOf(length);
    const fields = [
      'atMs',
      'actorKind',
      'actorId',
      'actorName',
      'address',
      'action',
      'application',
      'target',
      'outcome',
      'details',
    ];
    await fc.assert(
      fc.asyncProperty(anyNumber, fc.constantFrom(...fields), async (number, field) => {
        const entries = chain.entries.map((entry) =>
          entry.number === number ? { ...entry, [field]: field === 'atMs' ? 1 : 'mallory' } : entry,
        );
        expect(await problemsOf({ ...chain, entries })).toEqual([
          `${number} was changed: its content does not fit its hash`,
        ]);
      }),
      { numRuns: 40 },
    );
  });

  test('names the entry that was changed and hashed anew', async () => {
    const chain = chainOf(length);
    await fc.assert(
      fc.asyncProperty(anyNumber, async (number) => {
        const entries = chain.entries.map((entry) => {
          const content = { ...entry, actorName: 'mallory' };
          return entry.number === number ? { ...content, hash: hashOf(content) } : entry;
        });
        const problems = await problemsOf({ ...chain, entries });
        expect(problems.length).toBeGreaterThan(0);
        expect(problems.every((problem) => problem.startsWith(`${number} `))).toBe(true);
      }),
      { numRuns: 40 },
    );
  });

  test('names entries that were removed, wherever', async () => {
    const chain = chainOf(length);
    await fc.assert(
      fc.asyncProperty(anyNumber, fc.integer({ min: 0, max: 120 }), async (from, more) => {
        const to = Math.min(length, from + more);
        const entries = chain.entries.filter(({ number }) => number < from || number > to);
        const rest = from === to ? 'is missing' : `is missing, and all up to entry ${to}`;
        expect(await problemsOf({ ...chain, entries })).toContain(`${from} ${rest}`);
      }),
      { numRuns: 40 },
    );
  });

  test('names both of two entries that changed places', async () => {
    const chain = chainOf(length);
    await fc.assert(
      fc.asyncProperty(anyNumber, anyNumber, async (one, other) => {
        fc.pre(one !== other);
        const numbers = new Map([
          [one, other],
          [other, one],
        ]);
        const entries = chain.entries
          .map((entry) => ({ ...entry, number: numbers.get(entry.number) ?? entry.number }))
          .toSorted((a, b) => a.number - b.number);
        const problems = await problemsOf({ ...chain, entries });
        for (const number of [one, other]) {
          expect(problems).toContain(`${number} was changed: its content does not fit its hash`);
        }
      }),
      { numRuns: 30 },
    );
  });
});

describe('a chain that was written anew behind its change', () => {
  test('does not fit its signed checkpoints', async () => {
    const chain = chainOf(length);
    const entries = rehashed(
      chain.entries.map((entry) => (entry.number === 50 ? { ...entry, target: 'x' } : entry)),
      49,
    );
    const problems = await problemsOf({ ...chain, entries, head: headOf(entries) });
    expect(problems).toEqual(['101 differs from a signed checkpoint', '201 differs from a signed checkpoint']);
  });

  test('lacks them, where they were removed as well', async () => {
    const chain = chainOf(length);
    const entries = rehashed(chain.entries, 49);
    const checkpoints = chain.checkpoints.slice(0, 1);
    expect(await problemsOf({ ...chain, entries, checkpoints })).toEqual(['101 lacks its checkpoint']);
    expect(await problemsOf({ ...chain, checkpoints: [] })).toEqual(['100 lacks its checkpoint']);
  });

  test('is signed by a key that is not trusted', async () => {
    const chain = chainOf(length);
    const other = generateKeyPairSync('ed25519');
    const otherKey = other.publicKey.export({ type: 'spki', format: 'pem' });
    const checkpoints = chain.checkpoints.map((checkpoint) => {
      const own = { ...checkpoint, keyId: auditKeyId(otherKey) };
      return { ...own, signature: sign(null, Buffer.from(checkpointText(own)), other.privateKey).toString('base64') };
    });
    const forged = { ...chain, checkpoints, keys: [publicKey, otherKey] };
    expect(await problemsOf(forged)).toEqual([]); // The catalog alone can't tell.
    const trustedKeyIds = [keyId];
    expect((await problemsOf({ ...forged, trustedKeyIds }))[0]).toContain('which is not trusted');
    const wrong = chain.checkpoints.map((checkpoint) => ({
      ...checkpoint,
      keyId,
      signature: checkpoints[0]?.signature ?? '',
    }));
    expect((await problemsOf({ ...chain, checkpoints: wrong }))[0]).toBe('1 has a checkpoint whose signature is wrong');
  });

  test('or ends before an end that was noted elsewhere', async () => {
    const chain = chainOf(length);
    const entries = chain.entries.slice(0, 240);
    const cut = { ...chain, entries, head: headOf(entries) };
    expect(await problemsOf(cut)).toEqual([]);
    expect(await problemsOf({ ...cut, outsideHead: chain.head })).toEqual(['241 is missing, and all up to entry 250']);
    expect(await problemsOf({ ...chain, outsideHead: { number: 3, hash: 'other' } })).toEqual([
      '3 differs from what was noted outside',
    ]);
  });
});
