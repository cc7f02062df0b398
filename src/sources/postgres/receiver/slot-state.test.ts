import { expect, test } from 'vitest';
import { isWorse, slotFindingOf, slotLevel, slotUseOf, type SlotUse } from './slot-state.ts';

const gibibyte = 2 ** 30;
const fine: SlotUse = {
  walStatus: 'reserved',
  keptBytes: 0,
  limitBytes: 10 * gibibyte,
  safeBytes: 10 * gibibyte,
  syncState: 'async',
  synchronousNames: '',
  activePid: 1,
};

test.each([
  [{}, 'fine'],
  [{ safeBytes: 5.1 * gibibyte }, 'fine'],
  [{ safeBytes: 5 * gibibyte }, 'half'],
  [{ safeBytes: 1.9 * gibibyte }, 'most'],
  [{ safeBytes: undefined, keptBytes: 8 * gibibyte }, 'most'],
  [{ walStatus: 'unreserved', safeBytes: -1 }, 'beyond'],
  [{ walStatus: 'lost' }, 'lost'],
  [{ limitBytes: undefined, safeBytes: undefined, keptBytes: gibibyte }, 'fine'],
  [{ limitBytes: undefined, safeBytes: undefined, keptBytes: 20 * gibibyte }, 'half'],
  [{ limitBytes: undefined, safeBytes: undefined, keptBytes: 60 * gibibyte }, 'most'],
  [{ limitBytes: 0, safeBytes: 0 }, 'fine'],
] as const)('a slot with %o is %s', (changes, level) => {
  const use = { ...fine, ...changes };
  expect(slotLevel(use)).toBe(level);
  expect(slotFindingOf('s', use) === undefined).toBe(level === 'fine');
});

test('levels are in order', () => {
  expect(isWorse('lost', 'beyond') && isWorse('most', 'half') && isWorse('half', 'fine')).toBe(true);
  expect(isWorse('half', 'half')).toBe(false);
});

test('a slot that never kept anything is fine', () => {
  const nothing = {
    wal_status: null,
    safe: null,
    active_pid: null,
    sync_state: null,
    synchronous_names: '',
    kept: null,
  };
  expect(slotLevel(slotUseOf({ ...nothing, limit_megabytes: '-1' }))).toBe('fine');
});
