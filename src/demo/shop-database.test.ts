import { expect, it } from 'vitest';
import { compareTables } from './shop-database.ts';

const orders = { name: 'orders', rows: 3, sum: '71' };
const items = { name: 'order_items', rows: 9, sum: '12' };

it.each([
  ['equal tables', [orders, items], []],
  ['a table that is gone', [orders], ['order_items is missing']],
  ['a row that is gone', [{ ...orders, rows: 2, sum: '40' }, items], ['orders has 2 rows, not 3 rows']],
  ['a row that is another', [orders, { ...items, sum: '13' }], ['order_items has other rows']],
  ['a table nobody made', [orders, items, { ...items, name: 'copy' }], ['copy is new']],
])('tells of %s', (_, now, differences) => {
  expect(compareTables([orders, items], now)).toEqual(differences);
});
