// Looks at the catalog and at the processes of a folder again and again while servers are killed, from outside: what was seen once as
// done must stay as it was, epochs only grow, and of one job no two processes are at work.
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Catalog } from '../../src/catalog/catalog.ts';
import { openStates } from '../../src/catalog/tables.ts';
import { processesIn } from '../support/processes-in-folder.ts';

const jobWords = new Set(['backup', 'copy', 'prove', 'retention', 'verify']);
const lookEveryMs = 250;

export interface JobProcess {
  readonly pid: number;
  readonly parent: number;
  /** What it was told, as one text. */
  readonly command: string;
}

export interface WatchedPlace {
  readonly catalog: Catalog;
  readonly folder: string;
  /** A job is begun anew only when the lease of the worker before is over. */
  readonly isStrict: boolean;
}

export class Watch implements AsyncDisposable {
  readonly #place: WatchedPlace;
  readonly #epochs = new Map<string, number>();
  readonly #ended = new Map<string, string>();
  readonly #steps = new Map<string, string>();
  readonly #abort = new AbortController();
  readonly #watching: Promise<void>;
  /** What must not be, in words. */
  readonly wrong = new Set<string>();
  looks = 0;
  sideBySide = 0;

  constructor(place: WatchedPlace) {
    this.#place = place;
    this.#watching = this.#watch();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#abort.abort();
    await this.#watching;
  }

  async #watch(): Promise<void> {
    const { signal } = this.#abort;
    while (!signal.aborted) {
      try {
        this.#lookAtProcesses();
        await this.#lookAtRuns();
        this.looks += 1;
      } catch (error) {
        this.wrong.add(`the catalog could not be looked at: ${String(error)}`);
      }
      await sleep(lookEveryMs, undefined, { signal }).catch(() => undefined);
    }
  }

  #lookAtProcesses(): void {
    const { folder, isStrict } = this.#place;
    const commands = Map.groupBy(jobProcesses(folder), ({ command }) => command);
    for (const [command, all] of commands) {
      // What a job starts looks like itself for the moment until it has begun.
      const own = all.filter(({ parent }) => !all.some(({ pid }) => pid === parent));
      if (own.length < 2) continue;
      this.sideBySide += 1;
      if (isStrict)
        this.wrong.add(`${own.length} processes at once (${own.map(({ pid }) => pid).join(', ')}): ${command}`);
    }
  }

  async #lookAtRuns(): Promise<void> {
    const { db } = this.#place.catalog;
    // Steps first: one that is done now is not undone by what happens until the runs are read.
    for (const step of await db.selectFrom('step').selectAll().where('state', '=', 'done').execute()) {
      const { runId, name, epoch, output, doneAtMs } = step;
      this.#mustStay(this.#steps, `step ${name} of ${runId}`, JSON.stringify({ epoch, output, doneAtMs }));
    }
    for (const { id, epoch, state, output } of await db.selectFrom('run').selectAll().execute()) {
      const before = this.#epochs.get(id) ?? 0;
      if (epoch < before) this.wrong.add(`run ${id} went back from epoch ${before} to ${epoch}`);
      this.#epochs.set(id, epoch);
      const isOpen = openStates.some((open) => open === state);
      if (!isOpen) this.#mustStay(this.#ended, `run ${id}`, JSON.stringify({ state, epoch, output }));
      else if (this.#ended.has(id)) this.wrong.add(`run ${id} had ended and is ${state}`);
    }
  }

  #mustStay(seen: Map<string, string>, what: string, text: string): void {
    const before = seen.get(what);
    if (before !== undefined && before !== text) this.wrong.add(`${what} was ${before} and is ${text}`);
    seen.set(what, text);
  }
}

/** Those that work for a server in this folder. */
export function jobProcesses(folder: string): JobProcess[] {
  return processesIn(folder).flatMap((pid) => {
    const words = wordsOf(pid);
    const [, ...args] = words.slice(words.findIndex((word) => word.endsWith('lifeboat.js')));
    return jobWords.has(args[0] ?? '') ? [{ pid, parent: parentOf(pid), command: args.join(' ') }] : [];
  });
}

function parentOf(pid: number): number {
  try {
    const status = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return Number(status.slice(status.lastIndexOf(')') + 2).split(' ')[1]);
  } catch {
    return 0; // It has ended.
  }
}

function wordsOf(pid: number): string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').slice(0, -1);
  } catch {
    return []; // It has ended.
  }
}
