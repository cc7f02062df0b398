// Places in the WAL as a server writes them in its answers.
import { protocolError } from './protocol-error.ts';
import { parseLsn, type Lsn } from '../wal/lsn.ts';

export function serverLsn(text: string | undefined): Lsn {
  const lsn = parseLsn(text ?? '');
  if (lsn === undefined) throw protocolError(`'${text ?? 'NULL'}' for a place in the WAL`);
  return lsn;
}
