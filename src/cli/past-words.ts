// How a throw-away server at an instant is described to people and programs.
import { formatInstantUs } from '../model/recovery-target.ts';
import type { ChosenReplay } from '../operations/restore/replay.ts';
import type { PastDoor, PastServer } from '../sources/explore.ts';

export interface ReachedData {
  readonly position: string;
  /** ISO, of the last transaction replayed; absent where none was. */
  readonly lastTransaction?: string | undefined;
  readonly snapshot: string;
  readonly timeline: string;
}

export function reachedData({ snapshot, choice }: ChosenReplay, { reached }: PastServer): ReachedData {
  const { position, timeUs } = reached;
  return {
    position,
    ...(timeUs === undefined ? {} : { lastTransaction: formatInstantUs(timeUs) }),
    snapshot: snapshot.id,
    timeline: choice.branch,
  };
}

/** `0/3000148, the last transaction replayed ended at 2026-11-20 09:15:00 UTC`. */
export function reachedWords({ position, lastTransaction }: ReachedData): string {
  const last =
    lastTransaction === undefined ? 'no transaction was replayed' : `its last transaction ended at ${lastTransaction}`;
  return `${position}; ${last}`;
}

/** A line for a shell, without any secret in it. */
export function psqlLine({ host, port, user, passwordFile }: PastDoor, database: string): string {
  const parts = Object.entries({ host, port: String(port), user, dbname: database, passfile: passwordFile });
  const text = parts.map(([name, value]) => `${name}=${connectionValue(value)}`).join(' ');
  return /["$`\\!]/.test(text) ? `psql '${text.replaceAll("'", String.raw`'\''`)}'` : `psql "${text}"`;
}

function connectionValue(value: string): string {
  return /^[\w./:-]+$/.test(value) ? value : `'${value.replaceAll(/[\\']/g, String.raw`\$&`)}'`;
}
