import { expect, test } from 'vitest';
import { LogLines, readLogLine } from './recovery-log.ts';

test('what a recovering server says is understood, and all else is passed over', () => {
  const said: [string, unknown][] = [
    ['LOG:  consistent recovery state reached at 0/3000158', { kind: 'consistent', lsn: 0x3000158n }],
    ['LOG:  redo in progress, elapsed time: 10.00 s, current LSN: 0/4000028', { kind: 'replaying', lsn: 0x4000028n }],
    [
      'LOG:  recovery stopping before WAL location (LSN) "0/3000190"',
      { kind: 'stopping', words: 'before WAL location (LSN) "0/3000190"' },
    ],
    ['LOG:  redo done at 0/3000160 system usage: CPU: user: 0.00 s', { kind: 'replayed', lsn: 0x3000160n }],
    ['LOG:  selected new timeline ID: 2', { kind: 'timeline', timeline: 2 }],
    ['LOG:  pausing at the end of recovery', { kind: 'paused' }],
    ['LOG:  database system is ready to accept connections', { kind: 'promoted' }],
    ['LOG:  database system is ready to accept read-only connections', { kind: 'readable' }],
    [
      'WARNING:  hot standby is not possible because of insufficient parameter settings',
      { kind: 'limits-too-low', words: 'hot standby is not possible because of insufficient parameter settings' },
    ],
    ['FATAL:  could not restore file', { kind: 'failure', words: 'could not restore file' }],
    ['LOG:  listening on Unix socket', undefined],
    ['HINT:  database system is ready to accept connections', undefined],
  ];
  for (const [line, event] of said) expect(readLogLine(line)).toEqual(event);
});

test('lines are put together from pieces, and the last complaints are kept', () => {
  const lines: string[] = [];
  const log = new LogLines((line) => lines.push(line));
  for (const piece of ['LOG:  a', 'b\nFATAL:  no', '\nDETAIL:  because\nLOG:  end\nrest']) log.push(piece);
  expect(lines).toEqual(['LOG:  ab', 'FATAL:  no', 'DETAIL:  because', 'LOG:  end']);
  expect(log.complaints).toBe('FATAL:  no; DETAIL:  because');
});
