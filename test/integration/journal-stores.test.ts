// Journals in a folder and in a bucket: names, ranges and listings as real stores have them.
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { acquireJournalLease } from '../../src/repository/journal/lease.ts';
import { copyJournals } from '../../src/repository/journal/copy.ts';
import { endOf, listJournal, startOf } from '../../src/repository/journal/listing.ts';
import { readFacts, readSegment } from '../../src/repository/journal/read.ts';
import { decideJournalTrim, executeJournalTrim } from '../../src/repository/journal/trim.ts';
import { FrameSealer } from '../../src/repository/journal/frame-sealer.ts';
import { openJournal } from '../../src/repository/journal/writer.ts';
import { acquireLock } from '../../src/repository/lock.ts';
import { initRepository } from '../../src/repository/open-repository.ts';
import { verifyRepository } from '../../src/repository/verify.ts';
import { localStore } from '../../src/storage/local/store.ts';
import { memoryStore } from '../../src/storage/memory/store.ts';
import { s3Store } from '../../src/storage/s3/store.ts';
import type { Store } from '../../src/storage/store.ts';
import { segmentContent, sourceOf } from '../support/journal.ts';
import { cheapScrypt, noSignal as signal, testPassword } from '../support/repository.ts';
import { describeWithS3, startS3Server, type S3Server } from '../support/s3-server.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const branch = { lineage: 'postgresql/7394/00000001', segmentBytes: 20 * 1024 * 1024, about: { history: '' } };
/** Two objects when sealed. */
const content = Buffer.alloc(branch.segmentBytes, segmentContent(1, 3_000_001));

async function repositoryIn(store: Store) {
  const options = { password: testPassword, signal, chunkerDefault: 'gear' as const, scryptCost: cheapScrypt };
  return { ...(await initRepository(store, options)), lockSettings: { settleMs: 10 } };
}

function describeJournals(name: string, open: () => Promise<Store>): void {
  test(`a journal lives in ${name}: leases, parts, seals, copy, trim`, async () => {
    await using store = await open();
    const repository = await repositoryIn(store);
    await using lease = await acquireJournalLease(repository, { family: 'database', takesOver: false, signal });
    await using sealer = new FrameSealer(repository);
    const { epoch, writer } = lease;
    const journal = await openJournal(repository, { branch, epoch, writer, sealer, signal });
    const put = async (segment: number, from: number, to: number): Promise<void> =>
      journal.putPart({ segment, offset: from, bytes: content.subarray(from, to), facts: { to } }, signal);
    for (const segment of [1, 2]) {
      await put(segment, 0, 10_000_000);
      await put(segment, 10_000_000, 10_000_500);
      await journal.sealSegment(sourceOf(segment, content, { facts: { segment } }), signal);
    }
    await put(3, 0, 5000);
    await put(3, 5000, 6000);
    await lease.refresh(signal);
    const listing = await listJournal(repository, branch, signal);
    expect(listing).toMatchObject({ holes: [], problems: [], remnant: [] });
    expect([startOf(listing), endOf(listing)]).toEqual([
      { segment: 1, offset: 0 },
      { segment: 3, offset: 6000 },
    ]);
    expect(listing.stretches.map(({ objects }) => objects.length)).toEqual([2, 2, 2]);
    expect((await readSegment(repository, listing, { segment: 2, signal })).bytes.equals(content)).toBe(true);
    expect(
      (await readSegment(repository, listing, { segment: 3, signal })).bytes.equals(content.subarray(0, 6000)),
    ).toBe(true);
    expect(await readFacts(repository, listing, { segment: 2, signal })).toEqual({ segment: 2 });
    const target = await repositoryIn(memoryStore());
    expect(await copyJournals(repository, target, { signal })).toMatchObject({ segments: 3, problems: [] });
    {
      await using lock = await acquireLock(repository, { isExclusive: true, signal });
      const decision = decideJournalTrim([listing], new Map([[branch.lineage, { segment: 2, offset: 77 }]]));
      await executeJournalTrim(repository, decision, { lock, signal });
    }
    expect(startOf(await listJournal(repository, branch, signal))).toEqual({ segment: 2, offset: 0 });
    const { findings, counts } = await verifyRepository(repository, { level: 'data', signal });
    expect(findings).toEqual([]);
    expect(counts.journalObjects).toBe(6);
  }, 60_000);
}

describe('on a disk', () => {
  describeJournals('a folder', async () => {
    const folder = await temporaryFolder();
    const store = localStore(join(folder.path, 'repository'));
    return { ...store, [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose]() };
  });
});

await describeWithS3('on a server', () => {
  let server: S3Server;
  beforeAll(async () => {
    server = await startS3Server();
  });
  afterAll(() => server[Symbol.asyncDispose]());
  describeJournals('a bucket', async () =>
    s3Store({ kind: 's3', bucket: await server.makeBucket(), prefix: 'shop', client: server.client }),
  );
});
