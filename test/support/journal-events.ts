// What a receiver tells, kept for a test, and a way to wait for it.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Finding } from '../../src/model/finding.ts';
import type { JournalEvents, JournalProgress } from '../../src/sources/journal.ts';

export interface RecordedEvents extends JournalEvents {
  readonly notes: string[];
  readonly warnings: Finding[];
  readonly bases: string[];
  newest: JournalProgress | undefined;
}

export function recordEvents(): RecordedEvents {
  const recorded: RecordedEvents = {
    notes: [],
    warnings: [],
    bases: [],
    newest: undefined,
    note: (message) => void recorded.notes.push(message),
    warn: (finding) => void recorded.warnings.push(finding),
    needsBase: (reason) => void recorded.bases.push(reason),
    progress: (progress) => void (recorded.newest = progress),
  };
  return recorded;
}

/** Polls until it holds; the test's own time limit ends it otherwise. */
export async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await holds())) await sleep(20);
}
