import { expect, test } from 'vitest';
import { compareFingerprints, type Fingerprint, type FingerprintItem } from './fingerprint.ts';

const of = (...items: readonly FingerprintItem[]): Fingerprint => ({ version: 1, method: 'm', items });
const stays = { name: 'stays', rows: 2, sum: '5' };
const goes = { name: 'goes', rows: 3, sum: '7', expiresAtMs: 1000 };

test('missing, added and changed items are told apart', () => {
  const found = of({ ...stays, sum: '6' }, { name: 'new', rows: 1, sum: '1' });
  expect(compareFingerprints(of(stays, goes), found)).toEqual([
    { name: 'stays', kind: 'changed', rowsExpected: 2, rowsFound: 2 },
    { name: 'goes', kind: 'missing', rowsExpected: 3, rowsFound: 0 },
    { name: 'new', kind: 'added', rowsExpected: 0, rowsFound: 1 },
  ]);
});

test('an item whose rows may have expired is left out on either side, and no sooner', () => {
  expect(compareFingerprints(of(stays, goes), of(stays), 1000)).toEqual([]);
  expect(compareFingerprints(of(stays), of(stays, goes), 1000)).toEqual([]);
  expect(compareFingerprints(of(stays, goes), of(stays), 999)).toHaveLength(1);
  expect(compareFingerprints(of(stays, goes), of(goes), 1000)).toHaveLength(1);
});
