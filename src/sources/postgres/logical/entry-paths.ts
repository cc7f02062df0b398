// Where a logical recovery point keeps what: `/globals.sql`, `/databases/<name>.dump`.

export const globalsPath = '/globals.sql';
export const dumpsFolder = '/databases';
const ending = '.dump';

/** What can't stand in a file's name is written as `%` and the byte's number; so is `%`, and a leading dot. */
export function dumpPath(database: string): string {
  const escaped = database.replaceAll(/[%/\p{Cc}]|^\./gu, (character) => {
    return `%${character.charCodeAt(0).toString(16).padStart(2, '0').toUpperCase()}`;
  });
  return `${dumpsFolder}/${escaped}${ending}`;
}

/** The database of a dump's path; absent for other paths. */
export function databaseOf(path: string): string | undefined {
  if (!path.startsWith(`${dumpsFolder}/`) || !path.endsWith(ending)) return undefined;
  const escaped = path.slice(dumpsFolder.length + 1, -ending.length);
  return escaped.replaceAll(/%([0-9A-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}
