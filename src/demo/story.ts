// The steps of the demonstration in their order. A shop is backed up, goes on, and loses what it has at an instant that is known.
import { count } from '../base/count.ts';
import { formatDuration } from '../base/duration.ts';
import { isoTime } from '../base/iso-time.ts';
import { requireConfiguration } from '../cli/component-choice.ts';
import type { CommandContext } from '../cli/context.ts';
import { systemSleep } from '../storage/interruption.ts';
import type { Narrator, StepResult } from './narrator.ts';
import type { DemoDatabase } from './parts.ts';
import { awaitBackups, awaitProofs, secure } from './protection.ts';
import { watchJournal, type JournalWatch } from './journal-watch.ts';
import type { Mailbox } from './mailbox.ts';
import { awaitMail } from './noticing.ts';
import { compareAll, restoreAll, type Disaster } from './recovery.ts';
import type { DemoReport } from './report.ts';
import type { DemoServer } from './server.ts';
import { rowsIn } from './shop-database.ts';
import type { Order, Trading } from './shop-orders.ts';
import type { Shop, ShopState } from './shop.ts';

/** Without a database nothing is received, and nothing comes back that is younger than a backup. */
export const stepsOf = (database: DemoDatabase | undefined): number => (database === undefined ? 12 : 14);

/** As in lifeboat.yaml. */
const databaseComponent = 'database';
const orderPauseMs = 10;

export interface Telling {
  readonly shop: Shop;
  readonly context: CommandContext;
  readonly narrator: Narrator;
  readonly database: DemoDatabase | undefined;
  readonly mailbox: Mailbox;
  readonly startServer: () => Promise<DemoServer>;
}

export type Story = Pick<DemoReport, 'backups' | 'proofs' | 'recoveries' | 'recoverySeconds' | 'journal' | 'alert'>;

/** The server that it starts goes on when the story is told. */
export async function runStory(telling: Telling): Promise<Story> {
  const { shop, context, narrator, database, mailbox } = telling;
  const { clock } = context;
  const { application } = await requireConfiguration(context);
  await narrator.step('create', () => create(shop, context));
  const startMs = clock.now();
  await narrator.step('serve', () => serve(telling));
  const first = await narrator.step('back up', () => awaitBackups(context, startMs));
  await using journal =
    database === undefined ? undefined : await narrator.step('receive', () => receive(shop, context));
  const trade = { shop, context, journal };
  let before = await narrator.step('go on', () => goOn(trade));
  const changedMs = clock.now();
  const second = await narrator.step('back up', () => awaitBackups(context, changedMs));
  const backedUpMs = clock.now();
  const proofs = await narrator.step('prove', () => awaitProofs(context, backedUpMs));
  let confirmed: readonly Order[] = [];
  if (journal !== undefined) {
    ({ before, confirmed } = await narrator.step('order on', () => orderOn(trade)));
  }
  const disaster = await narrator.step('disaster', () => destroy(trade, { before, confirmed }));
  const disasterMs = clock.now();
  const meaning = 'the server notices it by itself';
  const noticed = await narrator.step('alert', () =>
    awaitMail(context, { mailbox, sign: '[CRITICAL]', sinceMs: Date.parse(disaster.instant), meaning }),
  );
  const restored = await narrator.step('restore', () =>
    restoreAll(application.components, { context, disaster, database }),
  );
  const { recoveries, orders } = await narrator.step('compare', () =>
    compareAll(restored, { shop, context, disaster }),
  );
  const recoverySeconds = (clock.now() - disasterMs) / 1000;
  const resolved = await narrator.step('all clear', () =>
    awaitMail(context, { mailbox, sign: '[RESOLVED]', sinceMs: disasterMs, meaning: 'it works again' }),
  );
  const afterwards = await narrator.step('secure', () => secure(context));
  return {
    backups: { first, second },
    proofs: [...proofs, ...afterwards],
    recoveries,
    recoverySeconds,
    alert: { noticed, resolved },
    journal: journal && {
      instant: disaster.instant,
      intervalMs: journal.intervalMs,
      ordersSinceBackup: orders.confirmed,
      ordersLost: orders.lost,
      lossWindow: journal.lossWindow(),
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

async function serve({ startServer }: Telling): Promise<StepResult<void>> {
  const { address } = await startServer();
  const text = `'lifeboat server' runs at ${address}: from now on it backs up, proves, receives and looks by its schedules`;
  return { text, facts: { address }, result: undefined };
}

async function receive(shop: Shop, context: CommandContext): Promise<StepResult<JournalWatch>> {
  const result = await watchJournal(context, databaseComponent);
  try {
    const walBytes = await shop.walBytes(context.signal);
    if (walBytes !== undefined) await result.untilStored(walBytes);
  } catch (error) {
    await result[Symbol.asyncDispose]();
    throw error;
  }
  const { intervalMs } = result;
  const text = `what the database commits goes to the repository every ${formatDuration(intervalMs)}, between backups too`;
  return { text, facts: { intervalMs }, result };
}

interface Trade {
  readonly shop: Shop;
  readonly context: CommandContext;
  readonly journal: JournalWatch | undefined;
}

async function goOn({ shop, context, journal }: Trade): Promise<StepResult<ShopState>> {
  const { signal } = context;
  const confirmed: Order[] = [];
  await shop.goOn(trading({ shop, context, journal }, { work: 'go on', seed: 3, confirmed }), signal);
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
  { shop, context: { progress, signal }, journal }: Trade,
  { work, seed, confirmed }: TradingOptions,
): Trading {
  return {
    count: shop.ordersAtOnce,
    seed,
    pause: () => systemSleep(orderPauseMs, signal),
    onOrder(order, walBytes) {
      confirmed.push(order);
      journal?.committed(walBytes);
      progress.update({ work, itemsDone: confirmed.length, itemsTotal: shop.ordersAtOnce, item: 'order' });
    },
  };
}

async function destroy(
  { shop, context: { signal, clock }, journal }: Trade,
  { before, confirmed }: Pick<Disaster, 'before' | 'confirmed'>,
): Promise<StepResult<Disaster>> {
  const instant = (await shop.instant(signal)) ?? isoTime(clock.now());
  const walBytes = await shop.destroy(signal);
  const after = await shop.measure(signal);
  const parts = [
    ...(before.tables === undefined ? [] : ['tables dropped and emptied']),
    ...(before.keys === undefined ? [] : ['the cache flushed']),
    'uploads deleted and overwritten',
    'the configuration scrambled',
  ];
  // The journal follows the server into the disaster, too.
  if (walBytes !== undefined) await journal?.untilStored(walBytes);
  return {
    text: `after ${instant}: ${parts.join(', ')}; ${stateWords(after)} are left`,
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
