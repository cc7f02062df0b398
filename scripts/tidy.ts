// The structure, executable: which folder may import which (design.md §3), islands, names, sizes. Runs in `npm run check`.
import { globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

const lower = [
  'base',
  'model',
  'storage',
  'repository',
  'sources',
  'operations',
  'catalog',
  'workflow',
  'monitoring',
  'access',
];
const layers: Record<string, readonly string[]> = {
  base: [],
  model: ['base'],
  storage: ['base'],
  repository: ['base', 'storage'],
  sources: ['base', 'model'],
  operations: ['base', 'model', 'storage', 'repository', 'sources'],
  catalog: ['base', 'model'],
  workflow: ['base', 'catalog'],
  monitoring: ['base', 'model', 'operations', 'catalog', 'workflow'],
  access: ['base', 'model', 'catalog'],
  service: lower,
  api: [...lower, 'service'],
  cli: [...lower, 'service'],
  demo: [...lower, 'service', 'cli'],
  config: [...lower, 'service', 'cli'],
};
/** Folders whose sub-folders share only the layer's top-level files. */
const islands = new Set(['storage', 'sources']);
/** Concrete drivers: only the composition root and their own folder may import them. */
const driver = /^src\/(?:storage|sources)\/[^/]+\//;
const imports = /(?:\bfrom|\bimport\s*\(?)\s*'(\.[^']+)'/g;
const problems: string[] = [];

/** Imports between the layers: `from` and `to` are paths below `src/`, cut at the slashes. */
function layerProblem(from: readonly string[], to: readonly string[]): string | undefined {
  const [layer = '', part, ...deeper] = from;
  const [toLayer = '', toPart, ...toDeeper] = to;
  if (toPart === undefined) return `nothing imports ${toLayer}`;
  const target = `src/${to.join('/')}`;
  if (toLayer !== layer) {
    if (!layers[layer]?.includes(toLayer)) return `${layer} may not import ${toLayer}`;
    return driver.test(target) ? `only app.ts names the driver ${target}` : undefined;
  }
  const isIsland = islands.has(layer) && deeper.length > 0 && toDeeper.length > 0;
  return isIsland && toPart !== part ? `${part} may not import its sibling ${toPart}` : undefined;
}

function importProblem(file: string, target: string): string | undefined {
  const from = file.split('/').slice(1);
  const isTest = file.endsWith('.test.ts') || file.endsWith('-contract.ts');
  if (from.length === 1 || isTest) return undefined; // app.ts and main.ts compose; tests look everywhere.
  if (!target.startsWith('src/')) return `imports ${target}`;
  return layerProblem(from, target.split('/').slice(1));
}

for (const file of globSync('src/**/*.ts')) {
  const [, layer = '', part] = file.split('/');
  if (part !== undefined && !(layer in layers)) problems.push(`${file}: folder '${layer}' has no layer; add it here`);
  if (/\/(?:utils?|helpers?|common|misc)\b/.test(file)) problems.push(`${file}: name the file after what it does`);
  const text = readFileSync(file, 'utf8');
  if (!file.endsWith('.test.ts') && !/^\/[/*]/.test(text))
    problems.push(`${file}: the first line says why the file exists`);
  if (/process\.env\b/.test(text) && !file.startsWith('src/config/') && !file.endsWith('.test.ts')) {
    problems.push(`${file}: only src/config reads process.env`);
  }
  for (const [, specifier = ''] of text.matchAll(imports)) {
    const problem = importProblem(file, join(dirname(file), specifier));
    if (problem !== undefined) problems.push(`${file}: ${problem}`);
  }
}
if (problems.length > 0) {
  console.error(problems.join('\n'));
  process.exitCode = 1;
}
