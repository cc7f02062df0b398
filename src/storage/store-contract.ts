// One test of everything `store.ts` promises; every driver and every wrapper runs it.
import { createHash } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { seededRandom } from '../base/random.ts';
import { AppError } from '../base/errors.ts';
import type { Store } from './store.ts';

/** `open` gives an empty store, of its own for each test; the test closes it. */
export function describeStore(name: string, open: () => Promise<Store>): void {
  describe(`${name} keeps the store contract`, () => {
    let store: Store;
    beforeEach(async () => {
      store = await open();
    });
    afterEach(() => store[Symbol.asyncDispose]());
    const current = (): Store => store;

    test('says where it is and how many calls make sense', () => {
      expect(store.properties.location).not.toBe('');
      expect(store.properties.connectionsMax).toBeGreaterThan(0);
    });
    describeObjects(current);
    describeRanges(current);
    describeListing(current);
    describeSettling(current);
    describeConcurrency(current);
    describeInterruption(current);
  });
}

function describeObjects(current: () => Store): void {
  test('reads back the concatenation of the parts it was given', async () => {
    const parts = [Buffer.from('one,'), new Uint8Array(), Uint8Array.of(0x00, 0xff), Buffer.from(',two')];
    await current().put('config', parts);
    expect(await current().get('config')).toEqual(Buffer.concat(parts));
    expect(await current().stat('config')).toEqual({ name: 'config', sizeBytes: 10 });
  });

  test('keeps an object that is named by its hash', async () => {
    const bytes = randomBytes(70_000, 1);
    const name = nameByHash(bytes);
    await current().put(name, [bytes], { isBulkData: true });
    expect(await current().get(name)).toEqual(bytes);
    expect(await current().get(name)).toEqual(bytes);
    expect(await current().stat(name)).toEqual({ name, sizeBytes: 70_000 });
    await current().remove(name);
    await expect(current().stat(name)).rejects.toMatchObject({ code: 'OBJECT_MISSING' });
    await expect(current().get(name)).rejects.toMatchObject({ code: 'OBJECT_MISSING' });
  });

  test('keeps an empty object, from no parts and from an empty one', async () => {
    await current().put('data/00/empty', []);
    await current().put('data/00/blank', [new Uint8Array()]);
    expect(await current().get('data/00/empty')).toEqual(Buffer.alloc(0));
    expect(await current().get('data/00/blank', { offset: 3, length: 4 })).toEqual(Buffer.alloc(0));
    expect(await current().stat('data/00/empty')).toEqual({ name: 'data/00/empty', sizeBytes: 0 });
    expect(await namesBelow(current(), '')).toEqual(['data/00/blank', 'data/00/empty']);
  });

  test('keeps 20 MiB that come in several parts, and a range across two of them', async () => {
    const bytes = randomBytes(20 * 1024 * 1024 + 1, 2);
    const cuts = [0, 1, 5_000_000, 5_000_000, 13_000_000, bytes.length];
    const parts = cuts.slice(1).map((end, index) => bytes.subarray(cuts[index], end));
    const name = nameByHash(bytes);
    await current().put(name, parts, { isBulkData: true });
    expect((await current().get(name)).equals(bytes)).toBe(true);
    const range = await current().get(name, { offset: 12_999_000, length: 2_000 });
    expect(range.equals(bytes.subarray(12_999_000, 13_001_000))).toBe(true);
    expect((await current().stat(name)).sizeBytes).toBe(bytes.length);
  });

  test('keeps thousands of small parts in their order', async () => {
    const parts = Array.from({ length: 3_000 }, (_, index) => Buffer.from(`${index};`));
    await current().put('index/many', parts);
    expect((await current().get('index/many')).toString()).toBe(parts.join(''));
  });

  test('replaces an object whole, by a longer and by a shorter one', async () => {
    for (const text of ['first', 'a longer second', 'third']) {
      await current().put('config', [Buffer.from(text)]);
      expect((await current().get('config')).toString()).toBe(text);
      expect((await current().stat('config')).sizeBytes).toBe(text.length);
    }
    expect(await namesBelow(current(), '')).toEqual(['config']);
  });

  test('names a missing object, also below and beside one that exists', async () => {
    await current().put('keys/one', [Buffer.from('1')]);
    for (const name of ['config', 'data/ab/none', 'keys', 'keys/on', 'keys/one/two']) {
      await expect(current().get(name)).rejects.toMatchObject({ code: 'OBJECT_MISSING' });
      await expect(current().get(name, { offset: 1, length: 2 })).rejects.toMatchObject({ code: 'OBJECT_MISSING' });
      await expect(current().stat(name)).rejects.toMatchObject({ code: 'OBJECT_MISSING' });
    }
  });

  test('removes an object once and again, and no other', async () => {
    await current().put('locks/a', [Buffer.from('a')]);
    await current().put('locks/b', [Buffer.from('b')]);
    await current().remove('locks/a');
    await current().remove('locks/a');
    for (const name of ['locks/never/was', 'locks', 'locks/b/below']) await current().remove(name);
    await expect(current().get('locks/a')).rejects.toMatchObject({ code: 'OBJECT_MISSING' });
    expect(await namesBelow(current(), 'locks/')).toEqual(['locks/b']);
  });

  test('what it gave out and what it was given are no windows into it', async () => {
    const given = Buffer.from('unchanged');
    await current().put('config', [given]);
    given.fill('x');
    (await current().get('config')).fill('y');
    expect((await current().get('config')).toString()).toBe('unchanged');
  });
}

function describeRanges(current: () => Store): void {
  const whole = Buffer.from('0123456789');
  test.each([
    { offset: 0, length: 4, gives: '0123' },
    { offset: 3, length: 4, gives: '3456' },
    { offset: 9, length: 1, gives: '9' },
    { offset: 0, length: 10, gives: '0123456789' },
    { offset: 4, length: undefined, gives: '456789' },
    { offset: undefined, length: 2, gives: '01' },
    { offset: 8, length: 100, gives: '89' },
    { offset: 0, length: 1_000_000, gives: '0123456789' },
    { offset: 10, length: 5, gives: '' },
    { offset: 10, length: undefined, gives: '' },
    { offset: 5_000, length: 5, gives: '' },
    { offset: 3, length: 0, gives: '' },
    { offset: 0, length: 0, gives: '' },
  ])('$length bytes from $offset of 0123456789 are "$gives"', async ({ offset, length, gives }) => {
    for (const name of ['config', nameByHash(whole)]) {
      await current().put(name, [whole]);
      const options = { ...(offset !== undefined && { offset }), ...(length !== undefined && { length }) };
      expect((await current().get(name, options)).toString()).toBe(gives);
      expect((await current().get(name, options)).toString()).toBe(gives);
    }
  });
}

function describeListing(current: () => Store): void {
  test('lists what is below a prefix, with sizes, and nothing beside it', async () => {
    const sizes = { config: 1, 'data/ab/abc': 2, 'data/ab/abd': 3, 'data/cd/cde': 4, 'database/x': 5, 'index/ab': 6 };
    for (const [name, size] of Object.entries(sizes)) await current().put(name, [Buffer.alloc(size)]);
    const listed = await Array.fromAsync(current().list(''));
    expect(Object.fromEntries(listed.map(({ name, sizeBytes }) => [name, sizeBytes]))).toEqual(sizes);
    expect(listed).toHaveLength(6);
    expect(await namesBelow(current(), 'data/')).toEqual(['data/ab/abc', 'data/ab/abd', 'data/cd/cde']);
    expect(await namesBelow(current(), 'data/ab/')).toEqual(['data/ab/abc', 'data/ab/abd']);
    expect(await namesBelow(current(), 'index/')).toEqual(['index/ab']);
    expect(await namesBelow(current(), 'snapshots/')).toEqual([]);
    expect(await namesBelow(current(), 'data/ab/abc/')).toEqual([]);
  });

  test('lists nothing in an empty store', async () => {
    expect(await namesBelow(current(), '')).toEqual([]);
    expect(await namesBelow(current(), 'data/')).toEqual([]);
  });

  test('lists 1,100 objects, each once, and may be left early', async () => {
    const names = Array.from({ length: 1_100 }, (_, index) => `data/${index % 7}/${index}`).toSorted();
    const rest = [...names];
    await Promise.all(
      Array.from({ length: current().properties.connectionsMax }, async () => {
        for (let name = rest.pop(); name !== undefined; name = rest.pop()) await current().put(name, [Buffer.of(1)]);
      }),
    );
    expect(await namesBelow(current(), 'data/')).toEqual(names);
    let seen = 0;
    for await (const _ of current().list('data/')) {
      seen += 1;
      if (seen === 3) break;
    }
    expect(seen).toBe(3);
    expect(await namesBelow(current(), 'data/3/')).toHaveLength(157);
  });
}

function describeSettling(current: () => Store): void {
  test('lets what was changed below a prefix last, also where nothing is', async () => {
    await current().put('index/ab', [Buffer.from('old')]);
    await current().remove('index/ab');
    await current().settle?.('index/');
    await current().settle?.('none/');
    expect(await namesBelow(current(), '')).toEqual([]);
  });
}

function describeConcurrency(current: () => Store): void {
  test('carries 40 calls at once', async () => {
    const names = Array.from({ length: 40 }, (_, index) => `data/${index % 4}/${index}`);
    await Promise.all(names.map((name) => current().put(name, [Buffer.from(name)])));
    const read = await Promise.all(names.map(async (name) => (await current().get(name)).toString()));
    expect(read).toEqual(names);
    await Promise.all(names.map((name, index) => (index % 2 === 0 ? current().remove(name) : current().stat(name))));
    expect(await namesBelow(current(), '')).toHaveLength(20);
  });

  test('writers of one name never mix: readers see one of them whole', async () => {
    const versions = Array.from({ length: 8 }, (_, index) => Buffer.alloc(100_000 + index, index));
    await current().put('config', [versions[0] ?? Buffer.alloc(0)]);
    const seen: Buffer[] = [];
    await Promise.all([
      ...versions.map((version) => current().put('config', [version.subarray(0, 50_000), version.subarray(50_000)])),
      ...versions.map(async () => seen.push(await current().get('config'))),
    ]);
    for (const bytes of [...seen, await current().get('config')]) {
      expect(versions.some((version) => version.equals(bytes))).toBe(true);
    }
  });
}

function describeInterruption(current: () => Store): void {
  test('does nothing for a signal that has aborted', async () => {
    await current().put('config', [Buffer.from('kept')]);
    const signal = AbortSignal.abort();
    const calls = [
      current().get('config', { signal }),
      current().stat('config', { signal }),
      current().put('config', [Buffer.from('lost')], { signal }),
      current().put('data/ab/new', [Buffer.from('lost')], { signal }),
      current().remove('config', { signal }),
      Array.fromAsync(current().list('', { signal })),
    ];
    const outcomes = await Promise.allSettled(calls);
    for (const outcome of outcomes) expect(outcome).toMatchObject({ reason: { code: 'INTERRUPTED' } });
    expect((await current().get('config')).toString()).toBe('kept');
    expect(await namesBelow(current(), '')).toEqual(['config']);
  });

  test('stops a listing when the signal aborts in the middle', async () => {
    for (let index = 0; index < 300; index += 1) await current().put(`data/${index % 3}/${index}`, [Buffer.of(1)]);
    const stop = new AbortController();
    let seen = 0;
    const listing = (async () => {
      for await (const _ of current().list('data/', { signal: stop.signal })) {
        seen += 1;
        if (seen === 1) stop.abort();
        // A page that has arrived may still be given out; gaps in between let the abort come through.
        await new Promise((resolve) => setImmediate(resolve));
      }
    })();
    await expect(listing).rejects.toMatchObject({ code: 'INTERRUPTED' });
  });

  test('a put that is interrupted leaves the old object or the new one, and no debris in the listing', async () => {
    const old = Buffer.alloc(1_000, 'o');
    const fresh = Buffer.alloc(9 * 1024 * 1024, 'n');
    for (let turn = 0; turn < 6; turn += 1) {
      await current().put('config', [old]);
      const stop = new AbortController();
      const call = current().put('config', [fresh.subarray(0, 4_000_000), fresh.subarray(4_000_000)], {
        signal: stop.signal,
      });
      const settled = call.then(
        () => undefined,
        (error: unknown) => error,
      );
      for (let tick = 0; tick < turn; tick += 1) await new Promise((resolve) => setImmediate(resolve));
      stop.abort();
      const error = await settled;
      expect(error === undefined || error instanceof AppError).toBe(true);
      const found = await current().get('config');
      expect(found.equals(fresh) || (error !== undefined && found.equals(old))).toBe(true);
      expect(await namesBelow(current(), '')).toEqual(['config']);
    }
  });
}

async function namesBelow(store: Store, prefix: string): Promise<string[]> {
  const listed = await Array.fromAsync(store.list(prefix));
  return listed.map(({ name }) => name).toSorted();
}

function nameByHash(bytes: Uint8Array): string {
  const id = createHash('sha256').update(bytes).digest('hex');
  return `data/${id.slice(0, 2)}/${id}`;
}

/** The same bytes for the same seed; no compression, no accident makes two of them equal. */
function randomBytes(sizeBytes: number, seed: number): Buffer {
  const random = seededRandom(seed);
  const block = Buffer.from(Array.from({ length: 65_536 + 1 }, () => Math.floor(random() * 256)));
  return Buffer.alloc(sizeBytes, block);
}
