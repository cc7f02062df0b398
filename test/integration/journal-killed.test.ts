// A receiver that is killed (kill -9) at any moment, again and again: the next one goes on at or behind what was acknowledged, and in
// the end the repository has every byte.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { seededRandom } from '../../src/base/random.ts';
import { comparePositions, laterOf } from '../../src/operations/journal/positions.ts';
import { readJournals } from '../../src/operations/journal/reader.ts';
import type { Acknowledge } from '../../src/operations/journal/sink.ts';
import { listJournal } from '../../src/repository/journal/listing.ts';
import type { JournalPosition } from '../../src/sources/journal.ts';
import { freshSeed } from '../support/fresh-seed.ts';
import { childBranch, childContent, type ChildReport } from '../support/journal-child.ts';
import { createRepository, noSignal, reopen } from '../support/repository.ts';
import { temporaryFolder, type TemporaryFolder } from '../support/temporary-folder.ts';

const random = seededRandom(freshSeed('killed receivers'));
const child = fileURLToPath(new URL('../support/journal-child.ts', import.meta.url));
const kills = 4;
const lastSegment = 12;

describe('a receiver that is killed', () => {
  let home: TemporaryFolder;
  beforeEach(async () => {
    home = await temporaryFolder();
    await createRepository(home.path);
  });
  afterEach(() => home[Symbol.asyncDispose]());

  /** Until it ends, or is killed after so many reports and a while. */
  async function receive(
    acknowledge: Acknowledge,
    reportsMax: number,
  ): Promise<{ reports: ChildReport[]; wasKilled: boolean }> {
    const receiver = fork(child, [home.path, acknowledge, String(lastSegment)], { stdio: 'inherit' });
    const reports: ChildReport[] = [];
    receiver.on('message', (report: ChildReport) => {
      reports.push(report);
      if (reports.length === reportsMax) setTimeout(() => receiver.kill('SIGKILL'), random() * 30);
    });
    const [code] = (await once(receiver, 'exit')) as [number | null];
    if (code !== 0 && code !== null) throw new Error(`the receiver ended with ${code}`);
    return { reports, wasKilled: code === null };
  }

  test.each(['spool', 'repository'] satisfies Acknowledge[])(
    'loses nothing that was acknowledged by %s',
    async (acknowledge) => {
      let told: JournalPosition | undefined;
      let killed = 0;
      for (let round = 0; round <= kills; round += 1) {
        const reportsMax = round === kills ? Infinity : 2 + Math.floor(random() * 6);
        const { reports, wasKilled } = await receive(acknowledge, reportsMax);
        const resumed = reports.find(({ kind }) => kind === 'resumed')?.at;
        const isBehind = told !== undefined && (resumed === undefined || comparePositions(resumed, told) < 0);
        expect(isBehind && reports.length > 0).toBe(false);
        for (const { kind, at } of reports) if (kind === 'told') told = laterOf(told, at);
        if (wasKilled) killed += 1;
        if (!wasKilled) break;
      }
      expect(killed).toBeGreaterThan(0);
      const repository = await reopen(home.path);
      const listing = await listJournal(repository, childBranch, noSignal);
      expect(listing.holes).toEqual([]);
      const reader = readJournals(repository);
      for (let segment = 0; segment <= lastSegment; segment += 1) {
        const bytes = await reader.read(childBranch.lineage, segment, noSignal);
        expect(bytes.equals(childContent(segment)), `segment ${segment}`).toBe(true);
      }
    },
  );
});
