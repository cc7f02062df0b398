// The shop goes on while people play with it: now and then somebody orders, and what comes to the mailbox is told.
import { messageOf } from '../base/errors.ts';
import type { CommandContext } from '../cli/context.ts';
import { systemSleep } from '../storage/interruption.ts';
import type { Mailbox } from './mailbox.ts';
import type { Shop } from './shop.ts';

const orderEveryMs = 2000;

/** Until somebody ends it. */
export async function openShop({
  shop,
  mailbox,
  context: { signal, progress },
}: {
  readonly shop: Shop;
  readonly mailbox: Mailbox;
  readonly context: CommandContext;
}): Promise<void> {
  progress.note('The shop is open, and its server runs, until you press Ctrl-C.');
  let mailsTold = mailbox.mails.length;
  let trouble: string | undefined;
  for (let seed = 1000; !signal.aborted; seed += 1) {
    const found = await order(shop, seed, signal);
    if (signal.aborted) break;
    // Whoever plays with the shop may break it: that is what it is for.
    if (found !== undefined && found !== trouble) progress.note(`no order can be taken: ${found}`);
    if (found === undefined && trouble !== undefined) progress.note('orders are taken again');
    trouble = found;
    for (const { subject } of mailbox.mails.slice(mailsTold)) progress.note(`mail: ${subject}`);
    mailsTold = mailbox.mails.length;
    await systemSleep(orderEveryMs, signal).catch(() => undefined); // It is looked at above whether it is over.
  }
}

/** Returns what keeps the shop from taking it. */
async function order(shop: Shop, seed: number, signal: AbortSignal): Promise<string | undefined> {
  try {
    const pause = (): Promise<void> => Promise.resolve();
    await shop.takeOrders({ count: 1, seed, onOrder: () => undefined, pause }, signal);
    return undefined;
  } catch (error) {
    return messageOf(error);
  }
}
