// The entry: from the process (arguments, environment, streams, signals) to an exit code.
import { readFileSync } from 'node:fs';
import { setFlagsFromString } from 'node:v8';

const packageFile = readFileSync(new URL('../package.json', import.meta.url), 'utf8');
const { version } = JSON.parse(packageFile) as { readonly version: string };
const args = process.argv.slice(2);

if (args.length === 1 && (args[0] === '--version' || args[0] === '-V')) {
  // Asked for by scripts and monitors, often: worth no more than reading one file.
  process.stdout.write(`${version}\n`);
} else {
  // A heap grows by a third before it is collected, not fourfold: a backup runs beside a database that wants the memory.
  setFlagsFromString('--heap-growing-percent=30');
  // Marking it a little at a time costs a physical backup a fifth of its processor time, and saves pauses that only a server's callers
  // would notice.
  if (args[0] !== 'server') setFlagsFromString('--no-incremental-marking');
  const { runProgram } = await import('./cli/program.ts');
  const { programParts } = await import('./app.ts');
  const { watchInterruption } = await import('./cli/interruption.ts');
  const { handedConfigurations, watchTether } = await import('./cli/tether.ts');
  const { readEnvironment, tetherSilenceMs } = await import('./config/environment.ts');
  using interruption = watchInterruption(process);
  const { stdin, stdout, stderr } = process;
  const { signal } = interruption;
  const own = readEnvironment();
  const tether = { silenceMaxMs: tetherSilenceMs(own) };
  // Listens before the tether does: what is said goes to whoever listens then.
  const handed = handedConfigurations(process, tether);
  using _ = watchTether(process, interruption, tether);
  const environment = { ...own, configurations: await handed };
  const parts = { version, environment, streams: { stdin, stdout, stderr }, signal };
  const exitCode = await runProgram(args, programParts(parts, interruption));
  process.exitCode ??= exitCode;
}
