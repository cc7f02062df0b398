import { describe, expect, test } from 'vitest';
import { dayMs } from '../../../base/duration.ts';
import { chooseType, type TypeFacts } from './backup-type.ts';
import type { PhysicalFacts } from './facts.ts';

const parent = {
  systemIdentifier: '7',
  serverMajor: 17,
  hasChecksums: true,
  fullTime: '2026-11-20T00:00:00.000Z',
} as PhysicalFacts;
const usual: TypeFacts = {
  requested: undefined,
  major: 17,
  summarizeWal: 'on',
  systemIdentifier: '7',
  hasChecksums: true,
  parent,
  nowMs: Date.parse('2026-11-26T00:00:00.000Z'),
  fullEveryMs: 7 * dayMs,
};

describe('the type of a physical backup', () => {
  test('is incremental where there is a backup to build on and the server keeps summaries', () => {
    expect(chooseType(usual)).toEqual({ type: 'incremental' });
  });

  const full: readonly (readonly [string, Partial<TypeFacts>, string, boolean])[] = [
    ['asked for', { requested: 'full' }, 'as asked for', false],
    ['the first', { parent: undefined }, 'no physical backup', false],
    ['after one that another version wrote', { parent: 'unreadable' }, 'can not be read', true],
    ['of a server that can not otherwise', { major: 16 }, 'PostgreSQL 16', false],
    ['due again', { nowMs: Date.parse('2026-11-27T00:00:00.000Z') }, 'every 7d', false],
    ['of a server that keeps no summaries', { summarizeWal: 'off' }, 'summarize_wal is off', true],
    ['of another server', { systemIdentifier: '8' }, 'another server', true],
    ['of another major', { major: 18 }, 'another version', true],
    ['after checksums were switched', { hasChecksums: false }, 'checksums', true],
  ];
  for (const [what, facts, reason, isUnwanted] of full) {
    test(`is full when it is ${what}`, () => {
      const choice = chooseType({ ...usual, ...facts });
      expect(choice).toEqual({ type: 'full', reason: expect.stringContaining(reason), isUnwanted });
    });
  }

  test('asked for as incremental is so even when a full one is due, and tells if it can not be', () => {
    const late = { ...usual, requested: 'incremental', nowMs: Date.parse('2027-01-01T00:00:00.000Z') } as const;
    expect(chooseType(late)).toEqual({ type: 'incremental' });
    expect(chooseType({ ...late, parent: undefined })).toMatchObject({ type: 'full', isUnwanted: true });
  });
});
