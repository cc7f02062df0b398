// Writes the pages of docs/reference that derive from declarations. A test holds each equal to what it derives from.
import { mkdirSync, writeFileSync } from 'node:fs';
import { apiDescription, apiReference } from '../src/api/description.ts';
import { routes } from '../src/api/routes.ts';
import { errorKinds } from '../src/base/errors.ts';
import { commandReference, loadAllCommands } from '../src/cli/reference.ts';
import { globalOptions } from '../src/config/options.ts';
import { configurationReference, errorsReference, optionsReference } from '../src/config/reference.ts';
import { configurationJsonSchema } from '../src/config/schema.ts';

const folder = new URL('../docs/reference/', import.meta.url);
const pages = {
  'options.md': optionsReference(globalOptions),
  'errors.md': errorsReference(errorKinds),
  'cli.md': commandReference(await loadAllCommands()),
  'api.md': apiReference(routes),
  'openapi.json': `${JSON.stringify(await apiDescription(routes), null, 2)}\n`,
  'configuration.md': configurationReference(configurationJsonSchema()),
};

mkdirSync(folder, { recursive: true });
for (const [name, text] of Object.entries(pages)) writeFileSync(new URL(name, folder), text);
