// A tethered process ends itself when its worker is gone or silent, and not while words arrive.
import { EventEmitter } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import type { AppError } from '../base/errors.ts';
import { handedConfigurations, watchTether } from './tether.ts';

/** What a process is to its tether. */
class Child extends EventEmitter {
  readonly connected: boolean;
  readonly channel = { unref: () => undefined } as unknown as NodeJS.Process['channel'];
  readonly exits: unknown[] = [];
  readonly stops: string[] = [];

  constructor(connected = true) {
    super();
    this.connected = connected;
  }

  tether(silenceMaxMs: number | undefined): Disposable {
    const interruption = { stop: ({ message }: AppError) => void this.stops.push(message) };
    const process = Object.assign(this, { exit: (code: unknown) => this.exits.push(code) as never });
    return watchTether(process as unknown as NodeJS.Process, interruption, { silenceMaxMs, graceMs: 5 });
  }
}

test('a worker that is gone ends its job, at last by force', async () => {
  const child = new Child();
  using _ = child.tether(60_000);
  child.emit('disconnect');
  expect(child.stops).toEqual(['the worker is gone']);
  await sleep(20);
  expect(child.exits).toEqual([130]);
});

test('a silent one does so too, and none that speaks', async () => {
  const child = new Child();
  using _ = child.tether(60);
  for (let word = 0; word < 8; word += 1) {
    await sleep(15);
    child.emit('message', 'go on');
  }
  expect(child.stops).toEqual([]);
  await sleep(120);
  expect(child.stops).toEqual([expect.stringContaining('silent')]);
});

test('who was started by nobody is held by nothing', async () => {
  for (const child of [new Child(false), new Child()]) {
    using _ = child.tether(child.connected ? undefined : 5);
    child.emit('disconnect');
    await sleep(15);
    expect(child.stops).toEqual([]);
  }
});

test('the first word hands over configurations, if there is a worker that speaks', async () => {
  const child = new Child();
  const process = child as unknown as NodeJS.Process;
  const handed = handedConfigurations(process, { silenceMaxMs: 60_000 });
  child.emit('message', { configurations: { '/srv/lifeboat.yaml': 'application: shop' } });
  child.emit('message', { configurations: { '/srv/lifeboat.yaml': 'application: other' } });
  expect(await handed).toEqual(new Map([['/srv/lifeboat.yaml', 'application: shop']]));
  const spoken = handedConfigurations(process, { silenceMaxMs: 60_000 });
  child.emit('message', 'go on');
  expect(await spoken).toEqual(new Map());
  const gone = handedConfigurations(process, { silenceMaxMs: 60_000 });
  child.emit('disconnect');
  expect(await gone).toEqual(new Map());
  expect(await handedConfigurations(process, { silenceMaxMs: undefined })).toEqual(new Map());
  expect([child.listenerCount('message'), child.listenerCount('disconnect')]).toEqual([0, 0]);
});
