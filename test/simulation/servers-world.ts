// What one history of killed servers knows of itself, for those who disturb it and those who judge it.
import type { ChildProcess } from 'node:child_process';
import type { Random } from '../../src/base/random.ts';
import type { Catalog } from '../../src/catalog/catalog.ts';
import type { WebReceiver } from '../support/alert-receivers.ts';
import type { TestCatalog } from '../support/catalogs.ts';
import type { ShopWishes } from './shop-of-files.ts';

export interface KilledServersOptions {
  readonly seed: number;
  readonly kills: number;
  /** On PostgreSQL, which several share; else on SQLite, and the first process is the only one. */
  readonly place: TestCatalog | undefined;
  readonly processes: readonly ('server' | 'worker')[];
  /** All kinds of jobs, and jobs killed as well: what failed is tried again half a minute later. */
  readonly isWhole: boolean;
}

export interface KilledServersCounts {
  kills: number;
  killsWhileStarting: number;
  jobKills: number;
  stops: number;
  starts: number;
  asked: number;
  runs: number;
  takenOver: number;
  triedAgain: number;
  firings: number;
  missedMoments: number;
  snapshots: number;
  restored: number;
  alerts: number;
  messages: number;
  sideBySide: number;
}

export interface World {
  readonly options: KilledServersOptions;
  readonly random: Random;
  readonly folder: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly catalog: Catalog;
  readonly web: WebReceiver;
  readonly wishes: ShopWishes;
  readonly counts: KilledServersCounts;
  readonly servers: Set<Served>;
  readonly deaths: string[];
  readonly orphans: Promise<unknown>[];
  /** Of runs that were asked for. */
  readonly asked: string[];
  /** Before this nothing was due. */
  readonly begunMs: number;
}

export interface Served {
  readonly kind: 'server' | 'worker';
  readonly child: ChildProcess;
  readonly exited: Promise<number | null>;
  readonly ready: Promise<unknown>;
  readonly isReady: () => boolean;
  readonly said: () => string;
}

export const noCounts = (): KilledServersCounts => ({
  kills: 0,
  killsWhileStarting: 0,
  jobKills: 0,
  stops: 0,
  starts: 0,
  asked: 0,
  runs: 0,
  takenOver: 0,
  triedAgain: 0,
  firings: 0,
  missedMoments: 0,
  snapshots: 0,
  restored: 0,
  alerts: 0,
  messages: 0,
  sideBySide: 0,
});
