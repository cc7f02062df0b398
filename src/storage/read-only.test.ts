import { expect, test } from 'vitest';
import { memoryStore } from './memory/store.ts';
import { readOnlyStore } from './read-only.ts';

test('reads pass, changes are refused and do nothing', async () => {
  const inner = memoryStore([['config', Buffer.from('0123')]]);
  await using store = readOnlyStore(inner);
  expect((await store.get('config', { offset: 1, length: 2 })).toString()).toBe('12');
  expect(await store.stat('config')).toEqual({ name: 'config', sizeBytes: 4 });
  expect(await Array.fromAsync(store.list(''))).toHaveLength(1);

  await expect(store.put('config', [Buffer.from('x')])).rejects.toMatchObject({ code: 'STORE_READ_ONLY' });
  await expect(store.put('new', [Buffer.from('x')])).rejects.toMatchObject({ code: 'STORE_READ_ONLY' });
  await expect(store.remove('config')).rejects.toMatchObject({ code: 'STORE_READ_ONLY' });
  await expect(store.remove('missing')).rejects.toMatchObject({ code: 'STORE_READ_ONLY' });
  expect((await inner.get('config')).toString()).toBe('0123');
  expect(await Array.fromAsync(inner.list(''))).toHaveLength(1);
});
