// Tells whether the process that made a folder still runs, long after and from another process: by a record in the folder. A
// number alone would not do, since numbers are used again.
import { execFileSync } from 'node:child_process';
import { closeSync, constants, fstatSync, openSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';

const fileName = 'owner.json';
const sizeMaxBytes = 4096;

const ownerSchema = z.object({
  pid: z.int().positive(),
  /** When that process began, in the words of the system. */
  started: z.string(),
  /** Where the number means that process: host, its start, and the namespace of a container. */
  host: z.string(),
  boot: z.string(),
  namespace: z.string(),
});

type Owner = z.infer<typeof ownerSchema>;

export function recordOwner(folder: string): void {
  const owner: Owner = { pid: process.pid, started: startOf(process.pid) ?? '', ...whereabouts() };
  writeFileSync(join(folder, fileName), JSON.stringify(owner), { flag: 'wx', mode: 0o600 });
}

/** False where it can't be known: no record, one that is not ours, a process of another host or container. */
export function isOwnerGone(folder: string): boolean {
  const owner = readOwner(folder);
  if (owner === undefined || owner.started === '') return false;
  const here = whereabouts();
  if (owner.host !== here.host) return false;
  if (owner.boot !== here.boot) return true;
  return owner.namespace === here.namespace && startOf(owner.pid) !== owner.started;
}

function readOwner(folder: string): Owner | undefined {
  let descriptor: number;
  try {
    descriptor = openSync(join(folder, fileName), constants.O_RDONLY | constants.O_NOFOLLOW);
  } catch {
    return undefined; // There is none, or none for us.
  }
  try {
    const { uid, size } = fstatSync(descriptor);
    // What others wrote there must not make us remove anything.
    if (uid !== process.geteuid?.() || size > sizeMaxBytes) return undefined;
    return ownerSchema.safeParse(JSON.parse(readFileSync(descriptor, 'utf8'))).data;
  } catch {
    return undefined; // Its writer was killed while it wrote.
  } finally {
    closeSync(descriptor);
  }
}

function whereabouts(): Pick<Owner, 'host' | 'boot' | 'namespace'> {
  const host = hostname();
  if (process.platform !== 'linux') return { host, boot: '', namespace: '' };
  return {
    host,
    boot: readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim(),
    namespace: readlinkSync('/proc/self/ns/pid'),
  };
}

/** Undefined if no such process runs. */
function startOf(pid: number): string | undefined {
  try {
    if (process.platform !== 'linux') {
      const options = { encoding: 'utf8', env: { LC_ALL: 'C', PATH: '/usr/bin:/bin' } } as const;
      return execFileSync('ps', ['-o', 'lstart=', '-p', String(pid)], options).trim();
    }
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // Behind the name, which may hold anything, the 20th field counts clock ticks since the machine's start.
    return text.slice(text.lastIndexOf(')') + 2).split(' ')[19];
  } catch {
    return undefined;
  }
}
