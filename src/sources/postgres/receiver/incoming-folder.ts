// The folder between archive_command and the receiver: files of the server as they are, each there whole or not at all, and a list of
// what was taken out of it, so that the same name with other bytes is never taken for the same file.
import { createHash, randomBytes } from 'node:crypto';
import { chmod, link, mkdir, open, readdir, readFile, rename, rm, stat, unlink, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { z } from 'zod';
import { AppError, errnoOf, messageOf } from '../../../base/errors.ts';

export interface System {
  /** A 64-bit number as text. */
  readonly systemIdentifier: string;
  readonly segmentBytes: number;
  readonly major: number;
}

const systemSchema = z.object({
  format: z.literal(1),
  systemIdentifier: z.string(),
  segmentBytes: z.int().positive(),
  major: z.int(),
});

/** Names that are remembered after their files were taken; a server repeats the newest ones only. */
const takenMax = 4096;
const folderModeDefault = 0o700;
const pieceBytes = 1024 * 1024;
const leftoverAgeMs = 24 * 3_600_000;

export class IncomingFolder {
  readonly path: string;
  /** Of files: the server's user and ours may be two users of one group. */
  readonly #fileMode: number;

  private constructor(path: string, fileMode: number) {
    this.path = path;
    this.#fileMode = fileMode;
  }

  /** Makes what is missing of it, with the rights that the folder itself has. */
  static async open(path: string): Promise<IncomingFolder> {
    return onDisk(`open ${path}`, async () => {
      await mkdir(path, { recursive: true, mode: folderModeDefault });
      const mode = (await stat(path)).mode & 0o7777;
      for (const name of ['files', 'histories', 'taken', 'refused', 'unfinished']) {
        const made = await mkdir(join(path, name), { recursive: true });
        if (made !== undefined) await chmod(join(path, name), mode);
      }
      return new IncomingFolder(path, mode & 0o660);
    });
  }

  async system(): Promise<System | undefined> {
    const text = await readIfThere(join(this.path, 'system.json'));
    return text === undefined ? undefined : systemSchema.parse(JSON.parse(text.toString()));
  }

  /** The first one decides. */
  async keepSystem(system: System): Promise<System> {
    const text = `${JSON.stringify({ format: 1, ...system })}\n`;
    await onDisk(`write into ${this.path}`, async () => {
      const unfinished = this.#unfinished('system.json');
      await writeFile(unfinished, text, { mode: this.#fileMode, flush: true });
      const isFirst = await this.#place(unfinished, join(this.path, 'system.json'));
      if (!isFirst) await unlink(unfinished);
    });
    return (await this.system()) ?? system;
  }

  /** Copies a file in. Rejects with `JOURNAL_FORKED` if other bytes came under its name before. */
  async keep(source: string): Promise<'kept' | 'known'> {
    const name = basename(source);
    return onDisk(`keep ${name} in ${this.path}`, async () => {
      const unfinished = this.#unfinished(name);
      try {
        const hash = await copy(source, unfinished, this.#fileMode);
        const known = (await this.takenHash(name)) ?? (await this.#waitingHash(name));
        if (known === undefined && (await this.#place(unfinished, this.file(name)))) return 'kept';
        if ((known ?? (await this.#waitingHash(name))) === hash) {
          await syncFolder(join(this.path, 'files'));
          return 'known';
        }
      } finally {
        await rm(unfinished, { force: true });
      }
      throw new AppError('JOURNAL_FORKED', `${name} was handed over before with other bytes`, {
        hint: 'Look whether two servers, the original and a copy, have the same archive_command; give the copy another.',
      });
    });
  }

  /** Names that wait, in order. */
  async waiting(): Promise<string[]> {
    return (await readdir(join(this.path, 'files'))).toSorted();
  }

  file(name: string): string {
    return join(this.path, 'files', name);
  }

  /** Remembers a history for all that is to come; it is needed no more among the files. */
  async takeHistory(name: string): Promise<void> {
    await onDisk(`take ${name}`, async () => {
      await rename(this.file(name), join(this.path, 'histories', name));
      await syncFolder(join(this.path, 'histories'));
    });
  }

  history(name: string): Promise<Buffer | undefined> {
    return readIfThere(join(this.path, 'histories', name));
  }

  async takenHash(name: string): Promise<string | undefined> {
    const history = await this.history(name);
    if (history !== undefined) return createHash('sha256').update(history).digest('hex');
    return (await readIfThere(join(this.path, 'taken', name)))?.toString().trim();
  }

  /** The file is safe elsewhere. */
  async forget(name: string, hash: string): Promise<void> {
    await onDisk(`forget ${name}`, async () => {
      await writeFile(join(this.path, 'taken', name), `${hash}\n`, { mode: this.#fileMode, flush: true });
      await syncFolder(join(this.path, 'taken'));
      await unlink(this.file(name));
    });
  }

  /** Puts a file aside for people. */
  async refuse(name: string): Promise<void> {
    await onDisk(`put ${name} aside`, () => rename(this.file(name), join(this.path, 'refused', name)));
  }

  /** Removes what is remembered for too long, and copies that were never finished. */
  async tidy(nowMs: number): Promise<void> {
    const taken = (await readdir(join(this.path, 'taken'))).toSorted();
    for (const name of taken.slice(0, Math.max(0, taken.length - takenMax)))
      await unlink(join(this.path, 'taken', name));
    for (const name of await readdir(join(this.path, 'unfinished'))) {
      const path = join(this.path, 'unfinished', name);
      const found = await stat(path).catch(() => undefined); // Gone: somebody finished it.
      if (found !== undefined && nowMs - found.mtimeMs > leftoverAgeMs) await rm(path, { force: true });
    }
  }

  #unfinished(name: string): string {
    return join(this.path, 'unfinished', `${name}-tmp-${randomBytes(6).toString('hex')}`);
  }

  /** False if something is there under the name. Replaces nothing, whoever comes at the same moment. */
  async #place(unfinished: string, path: string): Promise<boolean> {
    try {
      await link(unfinished, path);
    } catch (error) {
      if (errnoOf(error) === 'EEXIST') return false;
      throw error;
    }
    await unlink(unfinished);
    await syncFolder(join(path, '..'));
    return true;
  }

  async #waitingHash(name: string): Promise<string | undefined> {
    try {
      return await hashOf(this.file(name));
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return this.takenHash(name);
      throw error;
    }
  }
}

/** Durable once it resolves; returns the SHA-256. */
async function copy(source: string, target: string, mode: number): Promise<string> {
  const hash = createHash('sha256');
  await using from = await open(source, 'r');
  await using to = await open(target, 'wx', mode);
  const piece = Buffer.allocUnsafe(pieceBytes);
  for (;;) {
    const { bytesRead } = await from.read(piece);
    if (bytesRead === 0) break;
    hash.update(piece.subarray(0, bytesRead));
    for (let done = 0; done < bytesRead;) done += (await to.write(piece, done, bytesRead - done)).bytesWritten;
  }
  await to.chmod(mode); // Whatever the umask.
  await to.sync();
  return hash.digest('hex');
}

async function hashOf(path: string): Promise<string> {
  const hash = createHash('sha256');
  await using file = await open(path, 'r');
  for await (const piece of file.createReadStream({ autoClose: false, highWaterMark: pieceBytes }))
    hash.update(piece as Buffer);
  return hash.digest('hex');
}

async function syncFolder(path: string): Promise<void> {
  await using folder = await open(path, 'r');
  await folder.sync();
}

async function readIfThere(path: string): Promise<Buffer | undefined> {
  try {
    return await readFile(path);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

async function onDisk<T>(work: string, act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (error) {
    if (errnoOf(error) === undefined || error instanceof AppError) throw error;
    throw new AppError('STORE_FAILED', `can't ${work}: ${messageOf(error)}`, {
      hint: 'Look at the rights of the folder (the server’s user and the receiver’s need a group in common) and at the space on its disk.',
      cause: error,
    });
  }
}
