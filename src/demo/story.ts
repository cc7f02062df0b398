// The steps of the demonstration in their order. A shop is backed up, goes on, and loses what it has at an instant that is known.
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { count } from '../base/count.ts';
import { formatDuration } from '../base/duration.ts';
import { requireConfiguration } from '../cli/component-choice.ts';
import type { CommandContext } from '../cli/context.ts';
import { systemSleep } from '../storage/interruption.ts';
import type { Narrator, StepResult } from './narrator.ts';
import type { DemoDatabase } from './parts.ts';
import { backUp, proveAll } from './protection.ts';
import { startReceiver, type Receiver } from './receiver.ts';
import { compareAll, restoreAll, type Disaster } from './recovery.ts';
import type { DemoReport } from './report.ts';
import { rowsIn } from './shop-database.ts';
import type { Order, Trading } from './shop-orders.ts';
import type { Shop, ShopState } from './shop.ts';

/** Without a database nothing is received, and nothing comes back that is younger than a backup. */
export const stepsOf = (database: DemoDatabase | undefined): number => (database === undefined ? 8 : 10);

/** As in lifeboat.yaml. */
const databaseComponent = 'database';
const orderPauseMs = 10;

export interface Telling {
  readonly shop: Shop;
  readonly context: CommandContext;
  readonly narrator: Narrator;
  readonly database: DemoDatabase | undefined;
}

export type Story = Pick<DemoReport, 'backups' | 'proofs' | 'recoveries' | 'recoverySeconds' | 'journal'>;

export async function runStory({ shop, context, narrator, database }: Telling): Promise<Story> {
  const { clock } = context;
  const { application } = await requireConfiguration(context);
  await narrator.step('create', () => create(shop, context));
  const first = await narrator.step('back up', () => backUp(context));
  await using receiver =
    database === undefined ? undefined : await narrator.step('receive', () => receive(shop, context));
  const trade = { shop, context, receiver };
  let before = await narrator.step('go on', () => goOn(trade));
  const second = await narrator.step('back up', () => backUp(context));
  const proofs = await narrator.step('prove', () => proveAll(context));
  let confirmed: readonly Order[] = [];
  if (receiver !== undefined) {
    ({ before, confirmed } = await narrator.step('order on', () => orderOn(trade)));
  }
  const disaster = await narrator.step('disaster', () => destroy(trade, { before, confirmed }));
  const disasterMs = clock.now();
  const restored = await narrator.step('restore', () =>
    restoreAll(application.components, { context, disaster, database, receiver }),
  );
  const { recoveries, orders } = await narrator.step('compare', () =>
    compareAll(restored, { shop, context, disaster }),
  );
  return {
    backups: { first, second },
    proofs,
    recoveries,
    recoverySeconds: (clock.now() - disasterMs) / 1000,
    journal: receiver && {
      instant: disaster.instant ?? '',
      intervalMs: receiver.intervalMs,
      ordersSinceBackup: orders.confirmed,
      ordersLost: orders.lost,
      lossWindow: receiver.lossWindow(),
    },
  };
}

async function create(shop: Shop, { progress, signal }: CommandContext): Promise<StepResult<void>> {
  await shop.create(
    (itemsDone, itemsTotal) => progress.update({ work: 'create', itemsDone, itemsTotal, item: 'file' }),
    signal,
  );
  const state = await shop.measure(signal);
  return { text: `a shop with ${stateWords(state)}`, facts: stateFacts(state), result: undefined };
}

async function receive(shop: Shop, context: CommandContext): Promise<StepResult<Receiver>> {
  const result = await startReceiver(context, databaseComponent);
  try {
    const walBytes = await shop.walBytes(context.signal);
    if (walBytes !== undefined) await result.untilStored(walBytes);
  } catch (error) {
    await result[Symbol.asyncDispose]();
    throw error;
  }
  const { intervalMs } = result;
  const text = `a receiver runs: from now on what the database commits goes to the repository every ${formatDuration(intervalMs)}`;
  return { text, facts: { intervalMs }, result };
}

interface Trade {
  readonly shop: Shop;
  readonly context: CommandContext;
  readonly receiver: Receiver | undefined;
}

async function goOn({ shop, context, receiver }: Trade): Promise<StepResult<ShopState>> {
  const { signal } = context;
  const confirmed: Order[] = [];
  await shop.goOn(trading({ shop, context, receiver }, { work: 'go on', seed: 3, confirmed }), signal);
  const result = await shop.measure(signal);
  const orders =
    confirmed.length === 0 ? '' : `${count(confirmed.length, 'order')} come in one by one, prices change, `;
  return {
    text: `${orders}pictures are added: ${stateWords(result)}`,
    facts: { orders: confirmed.length, ...stateFacts(result) },
    result,
  };
}

/** What no backup will have. */
async function orderOn(
  trade: Trade,
): Promise<StepResult<{ readonly before: ShopState; readonly confirmed: readonly Order[] }>> {
  const { shop, context } = trade;
  const confirmed: Order[] = [];
  await shop.takeOrders(trading(trade, { work: 'order on', seed: 5, confirmed }), context.signal);
  const before = await shop.measure(context.signal);
  return {
    text: `${count(confirmed.length, 'order')} more, after the last backup: ${stateWords(before)}`,
    facts: { orders: confirmed.length, ...stateFacts(before) },
    result: { before, confirmed },
  };
}

interface TradingOptions {
  readonly work: string;
  readonly seed: number;
  /** Grows with each order. */
  readonly confirmed: Order[];
}

function trading(
  { shop, context: { progress, signal }, receiver }: Trade,
  { work, seed, confirmed }: TradingOptions,
): Trading {
  return {
    count: shop.ordersAtOnce,
    seed,
    pause: () => systemSleep(orderPauseMs, signal),
    onOrder(order, walBytes) {
      confirmed.push(order);
      receiver?.committed(walBytes);
      progress.update({ work, itemsDone: confirmed.length, itemsTotal: shop.ordersAtOnce, item: 'order' });
    },
  };
}

async function destroy(
  { shop, context: { signal }, receiver }: Trade,
  { before, confirmed }: Pick<Disaster, 'before' | 'confirmed'>,
): Promise<StepResult<Disaster>> {
  const instant = await shop.instant(signal);
  const walBytes = await shop.destroy(signal);
  const after = await shop.measure(signal);
  const parts = [
    ...(before.tables === undefined ? [] : ['tables dropped and emptied']),
    ...(before.keys === undefined ? [] : ['the cache flushed']),
    'uploads deleted and overwritten',
    'the configuration scrambled',
  ];
  // The journal follows the server into the disaster, too.
  if (walBytes !== undefined) await receiver?.untilStored(walBytes);
  const when = instant === undefined ? '' : `after ${instant}: `;
  return {
    text: `${when}${parts.join(', ')}; ${stateWords(after)} are left`,
    facts: { instant, ...stateFacts(after) },
    result: { instant, before, after, confirmed },
  };
}

const stateFacts = ({ tables, keys, uploads, configuration }: ShopState) => ({
  rows: tables && rowsIn(tables),
  keys,
  uploads: uploads.size,
  configurationFiles: configuration.size,
});

function stateWords({ tables, keys, uploads, configuration }: ShopState): string {
  const parts = [
    ...(tables === undefined ? [] : [count(rowsIn(tables), 'row')]),
    ...(keys === undefined ? [] : [count(keys, 'key')]),
    count(uploads.size, 'upload'),
    count(configuration.size, 'configuration file'),
  ];
  return `${parts.slice(0, -1).join(', ')} and ${parts.at(-1) ?? ''}`;
}

/** Bytes of all files in a folder. */
export async function folderSize(folder: string): Promise<number> {
  let sizeBytes = 0;
  for (const entry of await readdir(folder, { withFileTypes: true, recursive: true })) {
    if (entry.isFile()) sizeBytes += (await stat(join(entry.parentPath, entry.name))).size;
  }
  return sizeBytes;
}
