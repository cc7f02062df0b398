// Notes of our own beside restic's files: proofs and the like. Each purpose has keys of its own, derived from the master
// key, and every note says inside what it is and where it belongs, so that one which was swapped, renamed or taken from
// elsewhere is found out. Names tell a stranger of the store no more than how many notes there are and when they came.
import { randomBytes } from 'node:crypto';
import { z } from 'zod';
import { isAppError, messageOf } from '../base/errors.ts';
import type { JsonValue } from '../base/json.ts';
import { isMissing, type Repository } from './repository.ts';
import type { KeyTriple } from './seal.ts';
import { keyedName, subkeys } from './subkeys.ts';
import { decodeUnpacked, encodeUnpacked } from './unpacked.ts';

export const notePurposes = ['proof', 'verification', 'service', 'anomaly'] as const;
export type NotePurpose = (typeof notePurposes)[number];

export interface NewNote {
  readonly purpose: NotePurpose;
  /** What it is about: for proofs the id of the root tree. */
  readonly subject: string;
  readonly json: JsonValue;
}

export interface Note extends NewNote {
  /** In the store. */
  readonly name: string;
  /** When it was written, milliseconds since 1970. */
  readonly writtenAtMs: number;
}

export interface ReadNotes {
  /** Oldest first. */
  readonly notes: readonly Note[];
  /** Files that are no notes of this place: damaged, renamed, or forged. */
  readonly problems: readonly { readonly name: string; readonly message: string }[];
}

const magic = 'lifeboat note 1';

const headerSchema = z.object({
  magic: z.literal(magic),
  repository: z.string(),
  purpose: z.string(),
  subject: z.string(),
  name: z.string(),
  writtenAtMs: z.number(),
  json: z.json(),
});

const keysOf = (keys: KeyTriple, purpose: NotePurpose): KeyTriple => subkeys(keys, `note ${purpose}`);

function folderOf({ keys }: Repository, purpose: NotePurpose, subject: string): string {
  return `notes/${purpose}/${keyedName(keys, `note names ${purpose}`, subject)}/`;
}

export async function writeNote(repository: Repository, note: NewNote, signal: AbortSignal): Promise<Note> {
  const { purpose, subject, json } = note;
  const writtenAtMs = repository.clock.now();
  const time = Math.max(0, writtenAtMs).toString(16).padStart(12, '0');
  const name = `${folderOf(repository, purpose, subject)}${time}-${randomBytes(8).toString('hex')}`;
  const content = { magic, repository: repository.config.id, purpose, subject, name, writtenAtMs, json };
  const sealed = encodeUnpacked(keysOf(repository.keys, purpose), JSON.stringify(content));
  openNote(repository, { purpose, name, sealed });
  await repository.store.put(name, [sealed], { signal });
  return { purpose, subject, json, name, writtenAtMs };
}

/** Throws on anything that is not the note of that purpose with that name. */
function openNote(
  repository: Repository,
  { purpose, name, sealed }: { readonly purpose: NotePurpose; readonly name: string; readonly sealed: Uint8Array },
): Note {
  const text = decodeUnpacked(keysOf(repository.keys, purpose), sealed);
  const { json, ...header } = headerSchema.parse(JSON.parse(text));
  if (header.repository !== repository.config.id) throw new Error('it belongs to another repository');
  if (header.purpose !== purpose) throw new Error(`it is a note for '${header.purpose}'`);
  if (header.name !== name) throw new Error(`it was written as ${header.name}`);
  if (!name.startsWith(folderOf(repository, purpose, header.subject))) throw new Error('its subject is another');
  return { purpose, subject: header.subject, name, writtenAtMs: header.writtenAtMs, json };
}

/** All notes of a purpose, or those about one subject. Rejects only if the store fails. */
export async function readNotes(
  repository: Repository,
  { purpose, subject }: { readonly purpose: NotePurpose; readonly subject?: string | undefined },
  signal: AbortSignal,
): Promise<ReadNotes> {
  const prefix = subject === undefined ? `notes/${purpose}/` : folderOf(repository, purpose, subject);
  const notes: Note[] = [];
  const problems: { name: string; message: string }[] = [];
  const names = (await Array.fromAsync(repository.store.list(prefix, { signal }), ({ name }) => name)).toSorted();
  for (const name of names) {
    try {
      notes.push(openNote(repository, { purpose, name, sealed: await repository.store.get(name, { signal }) }));
    } catch (error) {
      if (isMissing(error)) continue; // Removed meanwhile.
      if (isAppError(error)) throw error;
      problems.push({ name, message: messageOf(error) });
    }
  }
  return { notes: notes.toSorted((left, right) => left.writtenAtMs - right.writtenAtMs), problems };
}

export async function removeNote(repository: Repository, name: Note['name'], signal: AbortSignal): Promise<void> {
  await repository.store.remove(name, { signal });
}
