// A program of the user's, read as monitoring plugins are: by its exit code, the first line it prints, and what stands
// behind a bar there.
import { errnoOf } from '../../base/errors.ts';
import type { ProbeOf } from '../../model/probe.ts';
import { cutText, oneLine } from '../fitting-text.ts';
import { conclude, degraded, down, unknown, type Look, type LookParts } from './look.ts';
import { runBounded, type ProgramEnd } from './run-bounded.ts';

const messageMax = 300;
const measuresMax = 50;

export async function probeScript(settings: ProbeOf<'script'>, { signal, ports }: LookParts): Promise<Look> {
  const [program = '', ...args] = settings.run;
  const { programFolders } = ports;
  try {
    const request = { program, args, programFolders, environment: settings.environment };
    return readPlugin(await runBounded(request, signal), program);
  } catch (error) {
    signal.throwIfAborted();
    const code = errnoOf(error);
    if (code === undefined) throw error;
    const hint = 'Name a program of this machine that this user may run.';
    return conclude('', [unknown(`cannot run ${program} (${code})`, hint)]);
  }
}

export function readPlugin({ exitCode, signalName, output }: ProgramEnd, program: string): Look {
  const [line = ''] = output.trimStart().split('\n');
  const [words = '', measures = ''] = line.split('|');
  const message = cutText(oneLine(words), messageMax) || `${program} said nothing`;
  const facts = measuresIn(measures);
  const hint = `Run ${program} by hand to see more.`;
  if (signalName !== undefined) return conclude('', [unknown(`${program} was ended by ${signalName}`, hint)], facts);
  if (exitCode === 0) return conclude(message, [], facts);
  if (exitCode === 1) return conclude('', [degraded(message, hint)], facts);
  if (exitCode === 2) return conclude('', [down(message, hint)], facts);
  const reason = exitCode === 3 ? message : `${program} ended with ${exitCode}: ${message}`;
  return conclude('', [unknown(reason, hint)], facts);
}

/** `time=0.02s;1;2 'free space'=12GB`: names and numbers, without units and thresholds. */
function measuresIn(text: string): Record<string, number> {
  const found = [...text.matchAll(/(?:'([^'=]+)'|([^\s'=]+))=(-?\d+(?:\.\d+)?)/g)].slice(0, measuresMax);
  return Object.fromEntries(found.map(([, quoted, plain, number]) => [quoted ?? plain ?? '', Number(number)]));
}
