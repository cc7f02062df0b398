// What was measured, as one line of bench/results.jsonl: with the day and the machine, since numbers of others say little.
import { appendFileSync } from 'node:fs';
import { cpus, release, totalmem } from 'node:os';
import { join } from 'node:path';

export function record(measured: Readonly<Record<string, unknown>>): void {
  const machine = {
    cpu: cpus()[0]?.model ?? '',
    cores: cpus().length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    kernel: release(),
  };
  const line = { date: new Date().toISOString(), machine, ...measured };
  appendFileSync(join(import.meta.dirname, 'results.jsonl'), `${JSON.stringify(line)}\n`);
}
