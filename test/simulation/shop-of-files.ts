// What servers protect while they are killed: folders with a file whose content tells when it was read, under policies that keep every
// kind of job busy.
import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { systemClock } from '../../src/base/clock.ts';
import type { Random } from '../../src/base/random.ts';

export const application = 'shop';
export const components = ['first', 'second'] as const;
export const repositories = ['local', 'offsite'] as const;
export const counterFile = 'counter';

const damping = { worse: 1, of: 1, better: 1, flappingStart: '100%' };

export interface ShopWishes {
  /** Where probes look and messages go. */
  readonly webUrl: string;
  /** Also what waits for others: retention removes, so it waits until nobody reads. */
  readonly isWhole: boolean;
}

/** A quiet one begins nothing by itself, but what is begun is carried out. */
export function configurationOf({ webUrl, isWhole }: ShopWishes, { isQuiet }: { readonly isQuiet: boolean }): string {
  const every = (interval: string): object => (isQuiet ? { before: 'deployment' } : { every: interval });
  const first = {
    schedule: every(isWhole ? '2s' : '3s'),
    repositories: ['local'],
    copy: { to: 'offsite' },
    ...(isWhole && { verification: { level: 'data', schedule: every('4s') } }),
  };
  const second = {
    schedule: every('3s'),
    repositories: [...repositories],
    ...(isWhole && { proof: { schedule: every('4s') } }),
    ...(isWhole && { retention: { keepLast: 3, schedule: every('4s') } }),
  };
  return JSON.stringify({
    application,
    service: { selfBackup: false },
    repositories: { local: { location: './local' }, offsite: { location: './offsite' } },
    components: {
      first: { type: 'files', paths: ['./data/first'], policy: first },
      second: { type: 'files', paths: ['./data/second'], policy: second },
    },
    // Nothing is called flapping, so that it is told once.
    probes: { health: { type: 'http', url: `${webUrl}/health`, every: '1s', damping } },
    alerts: {
      channels: { hook: { type: 'webhook', url: `${webUrl}/alerts`, secret: 'key of sixteen letters' } },
      rules: [{ channels: ['hook'], for: '1s' }],
      group: '1s',
    },
  });
}

const foldersPerComponent = 3;
const filesPerFolder = 4;
const fileMaxBytes = 200_000;

/** Returns the contents that stay, by path below the component's folder. */
export function layOut(folder: string, random: Random): Map<string, Buffer> {
  const contents = new Map<string, Buffer>();
  for (let number = 0; number < foldersPerComponent * filesPerFolder; number += 1) {
    const path = `${number % foldersPerComponent}/file ${number}`;
    contents.set(path, Buffer.alloc(Math.floor(random() * fileMaxBytes), `${random()} `));
  }
  for (const component of components) {
    for (const [path, content] of contents) {
      const file = join(folder, 'data', component, path);
      mkdirSync(join(file, '..'), { recursive: true });
      writeFileSync(file, content);
    }
  }
  return contents;
}

const countEveryMs = 100;

/** Counts in a file of each component, and knows when it said what. */
export class Counter implements AsyncDisposable {
  readonly #folder: string;
  /** When the number at this place began to stand in all files, and when it began to be written. */
  readonly #begunMs: number[] = [];
  readonly #abort = new AbortController();
  readonly #counting: Promise<void>;

  constructor(folder: string) {
    this.#folder = folder;
    this.#write();
    this.#counting = this.#count();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#abort.abort();
    await this.#counting;
  }

  /** Whether the files may have said this at some moment between two. */
  stoodBetween(value: number, fromMs: number, untilMs: number): boolean {
    const begunMs = this.#begunMs[value];
    const nextMs = this.#begunMs[value + 1];
    // The next one may have been written for as long as one turn takes when it was noted.
    return begunMs !== undefined && begunMs <= untilMs && (nextMs === undefined || nextMs + slackMs >= fromMs);
  }

  async #count(): Promise<void> {
    const { signal } = this.#abort;
    while (!signal.aborted) {
      await sleep(countEveryMs, undefined, { signal }).catch(() => undefined);
      if (!signal.aborted) this.#write();
    }
  }

  #write(): void {
    const value = this.#begunMs.length;
    this.#begunMs.push(systemClock.now());
    for (const component of components) {
      const file = join(this.#folder, 'data', component, counterFile);
      writeFileSync(`${file}.new`, String(value));
      renameSync(`${file}.new`, file);
    }
  }
}

/** Between the note of a number and the file's change; writing is synchronous, but the machine is busy. */
const slackMs = 1000;
