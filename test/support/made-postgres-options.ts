// Options of a PostgreSQL component whose server nobody asks.
import { systemClock } from '../../src/base/clock.ts';
import { defaultPhysicalSettings } from '../../src/model/component.ts';
import type { PostgresOptions } from '../../src/sources/postgres/options.ts';

export function makeOptions(): PostgresOptions {
  return {
    host: 'db.invalid',
    port: 5432,
    user: 'nobody',
    ssl: { mode: 'disable' },
    databases: [],
    lockWaitMaxMs: 1_000,
    programFolders: [],
    method: 'physical',
    physical: defaultPhysicalSettings,
    slot: 'lifeboat_test',
    clock: systemClock,
  };
}
