// `npm run bench [-- --tree database] [--work /folder]`: the same trees through Lifeboat and its peers, one step of each
// after the other, so that the machine's mood meets all alike. Prints ratios and appends them to bench/results.jsonl.
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { contenders, repositoryOf, type Contender } from './contenders.ts';
import { measure, sizeMiB, warm, type Command, type Measurement } from './measure.ts';
import { record } from './record.ts';
import { changeOnePercent, trees, type TreeKind } from './trees.ts';

type Step = 'first' | 'unchanged' | 'changed' | 'restore' | 'verify' | 'prune';

interface Result extends Measurement {
  readonly step: Step;
  readonly contender: string;
}

function sum(parts: readonly Measurement[]): Measurement {
  return {
    wallSeconds: parts.reduce((total, part) => total + part.wallSeconds, 0),
    syncSeconds: parts.reduce((total, part) => total + part.syncSeconds, 0),
    cpuSeconds: parts.reduce((total, part) => total + part.cpuSeconds, 0),
    memoryMiB: Math.max(...parts.map((part) => part.memoryMiB)),
  };
}

const onDiskSeconds = ({ wallSeconds, syncSeconds }: Measurement): number => wallSeconds + syncSeconds;

interface StepPlan {
  readonly all: readonly Contender[];
  /** Read beforehand, so that all find it in memory. */
  readonly warmed: string;
  readonly commands: (contender: Contender) => readonly Command[];
}

/** One step for every contender in turn, each on a warm tree. */
function runStep(step: Step, { all, warmed, commands }: StepPlan): Result[] {
  return all.map((contender) => {
    warm(warmed);
    const result = { step, contender: contender.name, ...sum(commands(contender).map(measure)) };
    const { wallSeconds, syncSeconds, cpuSeconds, memoryMiB } = result;
    console.log(
      `  ${step.padEnd(10)} ${contender.name.padEnd(9)} ${wallSeconds.toFixed(1).padStart(7)} s wall ${syncSeconds.toFixed(1).padStart(5)} s to the disk ${cpuSeconds.toFixed(1).padStart(7)} s CPU ${memoryMiB.toFixed(0).padStart(6)} MiB`,
    );
    return result;
  });
}

function benchTree(kind: TreeKind, work: string, all: readonly Contender[]): void {
  const tree = join(work, 'tree');
  console.log(`\n${kind.name}: ${kind.what}`);
  kind.make(tree);
  const repository = (contender: Contender): string => repositoryOf(work, contender);
  for (const contender of all) measure(contender.init(repository(contender)));
  const backup = (contender: Contender): Command[] => [contender.backup(repository(contender), tree)];
  const results = [...runStep('first', { all, warmed: tree, commands: backup })];
  const sizes = Object.fromEntries(
    all.map((contender) => [contender.name, Math.round(sizeMiB(repository(contender)))]),
  );
  console.log(`  size       ${JSON.stringify(sizes)} MiB`);
  results.push(...runStep('unchanged', { all, warmed: tree, commands: backup }));
  changeOnePercent(kind, tree);
  results.push(...runStep('changed', { all, warmed: tree, commands: backup }));
  const restoreTarget = join(work, 'restored');
  for (const contender of all) {
    const commands = (): Command[] => [contender.restore(repository(contender), restoreTarget)];
    results.push(...runStep('restore', { all: [contender], warmed: repository(contender), commands }));
    rmSync(restoreTarget, { recursive: true, force: true });
  }
  const verify = (contender: Contender): Command[] => [contender.verify(repository(contender))];
  results.push(...runStep('verify', { all, warmed: work, commands: verify }));
  const prune = (contender: Contender): Command[] => contender.prune(repository(contender));
  results.push(...runStep('prune', { all, warmed: tree, commands: prune }));
  report(kind, results, { all, sizes });
}

function report(
  kind: TreeKind,
  results: readonly Result[],
  { all, sizes }: { all: readonly Contender[]; sizes: Record<string, number> },
): void {
  const own = new Map(
    results.filter(({ contender }) => contender === 'lifeboat').map((result) => [result.step, result]),
  );
  for (const { name } of all.filter((contender) => contender.name !== 'lifeboat')) {
    const ratios = results
      .filter(({ contender }) => contender === name)
      .map((theirs) => {
        const times = [(one: Measurement) => one.wallSeconds, onDiskSeconds, (one: Measurement) => one.cpuSeconds];
        const mine = own.get(theirs.step);
        const ratio = (of: (one: Measurement) => number): string =>
          ((mine === undefined ? NaN : of(mine)) / of(theirs)).toFixed(2);
        return `${theirs.step} ${times.map(ratio).join('/')}`;
      });
    console.log(
      `  Lifeboat against ${name}, wall/until on disk/CPU: ${ratios.join(', ')}, size ${((sizes['lifeboat'] ?? NaN) / (sizes[name] ?? NaN)).toFixed(2)}`,
    );
  }
  const versions = Object.fromEntries(all.map(({ name, version }) => [name, version]));
  record({ tree: kind.name, versions, sizesMiB: sizes, results });
}

const { values } = parseArgs({ options: { tree: { type: 'string', multiple: true }, work: { type: 'string' } } });
if (!existsSync('/usr/bin/time'))
  throw new Error("needs GNU time: install Debian's package 'time' (and restic, borgbackup to compare)");
spawnSync('npm', ['run', 'build'], { cwd: resolve(import.meta.dirname, '..'), stdio: 'ignore' });
const all = contenders();
console.log(all.map(({ name, version }) => `${name}: ${version}`).join('\n'));
for (const kind of trees.filter(({ name }) => values.tree === undefined || values.tree.includes(name))) {
  if (kind.missing !== undefined) {
    console.log(`\n${kind.name}: left out, needs ${kind.missing}`);
    continue;
  }
  const base = values.work ?? tmpdir();
  mkdirSync(base, { recursive: true });
  const work = mkdtempSync(join(base, 'lifeboat-bench-'));
  chmodSync(work, 0o755); // PostgreSQL makes one of the trees under its own account.
  try {
    benchTree(kind, work, all);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}
