// A process that opens a catalog and writes one run into it: several of them at the same moment are what a lock is for.
import { systemClock } from '../../src/base/clock.ts';
import { openCatalog, type CatalogLocation } from '../../src/catalog/open-catalog.ts';
import { insertRun } from '../../src/catalog/runs.ts';

const [location] = process.argv.slice(2);
if (location !== undefined) {
  await using catalog = await openCatalog(JSON.parse(location) as CatalogLocation, systemClock);
  await insertRun(catalog, { kind: 'test', input: {}, origin: { kind: 'test' } });
}
