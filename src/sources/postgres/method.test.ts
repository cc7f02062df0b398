import { describe, expect, test } from 'vitest';
import { makeOptions } from '../../../test/support/made-postgres-options.ts';
import { chooseMethod, decideMethod, methodFinding, type MethodFacts } from './method.ts';

const granted = { isGranted: true, major: 17, walLevel: 'replica' } as const;
const usual: MethodFacts = { configured: 'auto', listed: [], existing: ['postgres', 'shop'], replication: granted };

describe('the method of a backup', () => {
  const cases: readonly (readonly [string, Partial<MethodFacts>, 'physical' | 'logical', string])[] = [
    ['all databases and a role that may replicate', {}, 'physical', 'may replicate'],
    ['a list of all databases', { listed: ['shop', 'postgres'] }, 'physical', 'all databases are meant'],
    ['a list that leaves one out', { listed: ['shop'] }, 'logical', 'leave out 1 other of the server'],
    [
      'a list that could not be compared',
      { listed: ['shop'], existing: undefined },
      'logical',
      'could not be found out',
    ],
    ['a server that does not say what it has', { existing: undefined }, 'physical', 'may replicate'],
    ['a server before 14', { replication: { ...granted, major: 13 } }, 'logical', 'not 13'],
    ['a server that is newer than known', { replication: { ...granted, major: 19 } }, 'logical', 'not 19'],
    ['a minimal WAL', { replication: { ...granted, walLevel: 'minimal' } }, 'logical', 'wal_level is minimal'],
    [
      'a role that may not replicate',
      { replication: { isGranted: false, message: 'permission denied', hint: 'Grant it.' } },
      'logical',
      'permission denied',
    ],
    [
      'a server that was not reached',
      { replication: { isGranted: 'unknown', message: 'connect ECONNREFUSED', hint: 'Start it.' } },
      'logical',
      'could not be found out whether the server lets the role replicate: connect ECONNREFUSED',
    ],
    ['physical, said by somebody', { configured: 'physical', listed: ['shop'] }, 'physical', 'as configured'],
    ['logical, said by somebody', { configured: 'logical' }, 'logical', 'as configured'],
  ];
  for (const [what, facts, method, reason] of cases) {
    test(`for ${what} is ${method}, and says why`, () => {
      expect(chooseMethod({ ...usual, ...facts })).toMatchObject({ method, reason: expect.stringContaining(reason) });
    });
  }

  test('names what would mend a lack, and nothing where the choice was somebody’s own', () => {
    const refused = { isGranted: false, message: 'no', hint: 'Run ALTER ROLE backup REPLICATION.' } as const;
    expect(chooseMethod({ ...usual, replication: refused }).hint).toContain('ALTER ROLE backup REPLICATION');
    expect(chooseMethod({ ...usual, listed: ['shop'], replication: refused }).hint).toBe(undefined);
  });

  test('is a good finding where the server itself refused replication, an unknown one where nobody asked it', async () => {
    const refused = { isGranted: false, message: 'permission denied', hint: 'Grant it.' } as const;
    expect(methodFinding(chooseMethod({ ...usual, replication: refused }))).toMatchObject({ outcome: 'passed' });
    const server = { ...makeOptions(), host: '127.0.0.1', port: 1, method: 'auto' } as const;
    for (const databases of [[], ['shop']]) {
      const choice = await decideMethod({ ...server, databases }, new AbortController().signal);
      const finding = methodFinding(choice);
      expect(finding).toMatchObject({ outcome: 'inconclusive', message: expect.stringContaining('not be found out') });
      expect(finding.hint).toMatch(/^[A-Z].*\.$/);
    }
  });
});
