// A process of this machine: by the file with its number, by its command line, or as a unit of systemd.
import { readdir, readFile } from 'node:fs/promises';
import { errnoOf } from '../../base/errors.ts';
import type { ProbeOf } from '../../model/probe.ts';
import { cutText, oneLine } from '../fitting-text.ts';
import { conclude, down, unknown, type Look, type LookParts } from './look.ts';
import { runBounded } from './run-bounded.ts';

const startHint = 'Start it, and look into its log for why it ended.';
const shownMax = 100;

export async function probeProcess(settings: ProbeOf<'process'>, parts: LookParts): Promise<Look> {
  const { pidFile, command, unit } = settings;
  if (pidFile !== undefined) return byNumber(pidFile);
  if (command !== undefined) return byCommand(new RegExp(command, 'u'));
  return byUnit(unit ?? '', parts);
}

async function byNumber(path: string): Promise<Look> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    const code = errnoOf(error);
    if (code === undefined) throw error;
    const problem = code === 'ENOENT' ? down : unknown;
    return conclude('', [problem(`cannot read ${path} (${code})`, startHint)]);
  }
  const pid = Number(/^\s*(\d+)/.exec(text)?.[1] ?? Number.NaN);
  if (!Number.isSafeInteger(pid) || pid <= 0) {
    return conclude('', [unknown(`${path} holds no number of a process`, 'Name the file with its number.')]);
  }
  if (isRunning(pid)) return conclude(`process ${pid} runs`, [], { pid });
  return conclude('', [down(`process ${pid} of ${path} does not run`, startHint)], { pid });
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    if (errnoOf(error) === 'EPERM') return true; // It is somebody else's.
    if (errnoOf(error) === 'ESRCH') return false;
    throw error;
  }
}

async function byCommand(pattern: RegExp): Promise<Look> {
  let names: string[];
  try {
    names = await readdir('/proc');
  } catch (error) {
    const code = errnoOf(error);
    if (code === undefined) throw error;
    return conclude('', [unknown(`there is no /proc here (${code})`, 'Use pidFile, or a script.')]);
  }
  const own = String(process.pid);
  const pids = names.filter((name) => /^\d+$/.test(name) && name !== own);
  const lines = await Promise.all(pids.map(commandLineOf));
  const found = lines.filter((line) => line !== undefined && pattern.test(line));
  if (found.length > 0) {
    return conclude(`${found.length} running: ${cutText(oneLine(found[0] ?? ''), shownMax)}`, [], {
      count: found.length,
    });
  }
  return conclude('', [down(`no process matches /${cutText(pattern.source, shownMax)}/`, startHint)], { count: 0 });
}

/** Undefined for one that ended meanwhile, or that only root may see. */
async function commandLineOf(pid: string): Promise<string | undefined> {
  try {
    const text = await readFile(`/proc/${pid}/cmdline`, 'utf8');
    return text.replaceAll('\0', ' ').trim();
  } catch (error) {
    if (errnoOf(error) !== undefined) return undefined;
    throw error;
  }
}

async function byUnit(unit: string, { signal, ports }: LookParts): Promise<Look> {
  const args = ['is-active', '--', unit];
  try {
    const { output, exitCode } = await runBounded({ program: 'systemctl', args, ...ports }, signal);
    const state = cutText(oneLine(output), shownMax);
    if (exitCode === 0) return conclude(`${unit} is ${state}`, [], { state });
    // Where systemd does not run, it says nothing and ends with 1.
    if (state === '') return conclude('', [unknown('systemd does not run here', 'Use pidFile or command.')]);
    const hint = `Look at 'systemctl status ${unit}'.`;
    return conclude('', [down(`${unit} is ${state}`, hint)], { state });
  } catch (error) {
    signal.throwIfAborted();
    if (errnoOf(error) !== 'ENOENT') throw error;
    return conclude('', [unknown('there is no systemctl here', 'Use pidFile or command.')]);
  }
}
