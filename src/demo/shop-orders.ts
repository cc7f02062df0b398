// Customers who order one after the other, each order a transaction of its own: what happens between two backups. The shop keeps a
// list of what it confirmed, as customers do: afterwards it is asked for, order by order.
import { seededRandom } from '../base/random.ts';
import type { SqlSession } from './parts.ts';

/** As it was confirmed to its customer. */
export interface Order {
  readonly id: string;
  readonly customerId: string;
  readonly totalCents: number;
}

export interface Trading {
  readonly count: number;
  readonly seed: number;
  /** The server's log up to the end of the commit, in bytes. */
  readonly onOrder: (order: Order, walBytes: number) => void;
  /** Until the next customer comes. */
  readonly pause: () => Promise<void>;
}

const itemsMax = 4;

export async function takeOrders(session: SqlSession, { count, seed, onOrder, pause }: Trading): Promise<void> {
  const random = seededRandom(seed);
  const upTo = (limit: number): number => 1 + Math.floor(random() * limit);
  const [{ customers, products } = { customers: 1, products: 1 }] = await session.query<{
    readonly customers: number;
    readonly products: number;
  }>('SELECT (SELECT max(id) FROM customers)::int AS customers, (SELECT max(id) FROM products)::int AS products');
  for (let at = 0; at < count; at += 1) {
    if (at > 0) await pause();
    const chosen = Array.from({ length: upTo(itemsMax) }, () => upTo(products));
    const [order] = await session.query<Order>(orderStatement(upTo(customers), chosen));
    if (order !== undefined) onOrder(order, await readWalBytes(session));
  }
}

/** One statement, so one transaction: the order, its items, and the stock that is less now. */
function orderStatement(customer: number, products: readonly number[]): string {
  return `
    WITH chosen AS MATERIALIZED (
      SELECT row_number() OVER (ORDER BY id)::int AS line, id, price_cents, 1 + (id % 3)::int AS quantity
        FROM products WHERE id IN (${products.join(', ')})
    ), placed AS (
      INSERT INTO orders (customer_id, status, placed_at, total_cents)
        SELECT ${customer}, 'paid', clock_timestamp(), sum(quantity * price_cents) FROM chosen
        RETURNING id, customer_id, total_cents
    ), items AS (
      INSERT INTO order_items (order_id, line, product_id, quantity, price_cents)
        SELECT placed.id, line, chosen.id, quantity, price_cents FROM placed, chosen
    ), sold AS (
      UPDATE products SET stock = stock - quantity FROM chosen WHERE products.id = chosen.id
    )
    SELECT id::text, customer_id::text AS "customerId", total_cents AS "totalCents" FROM placed`;
}

/** What is on the server's disk of its log: all that was committed. */
export async function readWalBytes(session: SqlSession): Promise<number> {
  const [{ bytes } = { bytes: '0' }] = await session.query<{ readonly bytes: string }>(
    "SELECT (pg_current_wal_flush_lsn() - '0/0'::pg_lsn)::text AS bytes",
  );
  return Number(bytes);
}

/** By the server's own clock, to the microsecond. */
export async function readInstant(session: SqlSession): Promise<string> {
  const [{ now } = { now: '' }] = await session.query<{ readonly now: string }>(
    `SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS now`,
  );
  return now;
}

/** Those of the confirmed orders that the shop does not know any more, or knows otherwise. */
export async function missingOrders(session: SqlSession, confirmed: readonly Order[]): Promise<Order[]> {
  if (confirmed.length === 0) return [];
  const found = await session.query<Order>(
    `SELECT id::text, customer_id::text AS "customerId", total_cents AS "totalCents"
       FROM orders WHERE id IN (${confirmed.map(({ id }) => id).join(', ')})`,
  );
  const known = new Map(found.map((order) => [order.id, order]));
  return confirmed.filter(({ id, customerId, totalCents }) => {
    const order = known.get(id);
    return order?.customerId !== customerId || order.totalCents !== totalCents;
  });
}
