import { expect, test } from 'vitest';
import { describeStore } from '../store-contract.ts';
import { memoryStore } from './store.ts';

describeStore('the memory store', async () => memoryStore());

test('a clone keeps what was there and goes its own way', async () => {
  await using store = memoryStore([['config', Buffer.from('one')]]);
  const image = store.clone();
  await store.put('config', [Buffer.from('two')]);
  await image.put('extra', [Buffer.from('x')]);
  expect((await image.get('config')).toString()).toBe('one');
  await expect(store.get('extra')).rejects.toMatchObject({ code: 'OBJECT_MISSING' });
});
