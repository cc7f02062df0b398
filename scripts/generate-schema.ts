// Writes lifeboat.schema.json, which editors use to complete and check lifeboat.yaml. A test holds it equal to the schema.
import { writeFileSync } from 'node:fs';
import { editorJsonSchema } from '../src/config/schema.ts';

const path = new URL('../lifeboat.schema.json', import.meta.url);
writeFileSync(path, `${JSON.stringify(editorJsonSchema(), undefined, 2)}\n`);
