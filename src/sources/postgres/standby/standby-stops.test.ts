import { expect, test } from 'vitest';
import { isAt, StandbyStops } from './standby-stops.ts';

test('the nearest comes first, and each is passed once', () => {
  const stops = new StandbyStops();
  const far = { kind: 'mark', lsn: 0x5000000n } as const;
  const near = { kind: 'tablespace', lsn: 0x4000000n, oid: 1, location: '/srv/fast' } as const;
  stops.add(far);
  stops.add(near);
  stops.add({ ...near });
  expect(stops.next).toBe(near);
  stops.pass(near);
  expect(stops.next).toBe(far);
});

test('what is only looked at is given up in a hurry; what would reach outside of the folder is not', () => {
  const stops = new StandbyStops();
  stops.add({ kind: 'base', lsn: 1n });
  stops.add({ kind: 'tablespace', lsn: 2n, oid: 1, location: '/srv/fast' });
  stops.clear();
  expect(stops.next?.kind).toBe('tablespace');
});

test('an insert position behind the header of a page is the end of the page before', () => {
  expect(isAt(0x3000148n, 0x3000148n)).toBe(true);
  expect(isAt(0x3002000n, 0x3002018n)).toBe(true); // A short header.
  expect(isAt(0x4000000n, 0x4000028n)).toBe(true); // A long one.
  expect(isAt(0x3002000n, 0x3002030n)).toBe(false);
  expect(isAt(0x3000100n, 0x3000148n)).toBe(false);
});
