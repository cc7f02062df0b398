// tablespace_map: where the server's tablespaces were. A server that finds it makes these links before anything else, so a copy
// that keeps it as it was would write into the original's tablespaces.
import { nameFromBytes, nameToBytes } from '../../../base/byte-name.ts';
import { serverFileDamaged } from '../wal/wal-damage.ts';

export interface MappedTablespace {
  readonly oid: number;
  /** A byte name; absolute but for tablespaces that lie within the data directory. */
  readonly location: string;
}

const sizeBytesMax = 4 * 2 ** 20;
const [newline, carriageReturn, backslash, space] = [10, 13, 92, 32];

/** Line ends and backslashes within a path stand behind a backslash. */
export function parseTablespaceMap(bytes: Buffer): MappedTablespace[] {
  if (bytes.length > sizeBytesMax) throw damaged(`${bytes.length} bytes are too many`);
  const tablespaces: MappedTablespace[] = [];
  let line: number[] = [];
  for (let at = 0; at < bytes.length; at += 1) {
    const byte = bytes.readUInt8(at);
    if (byte === backslash && at + 1 < bytes.length) {
      at += 1;
      line.push(bytes.readUInt8(at));
    } else if (byte === newline || byte === carriageReturn) {
      if (line.length > 0) tablespaces.push(parseLine(Buffer.from(line)));
      line = [];
    } else line.push(byte);
  }
  if (line.length > 0) throw damaged('it is cut short');
  return tablespaces;
}

export function formatTablespaceMap(tablespaces: readonly MappedTablespace[]): Buffer {
  const lines = tablespaces.map(({ oid, location }) => {
    const escaped: number[] = [];
    for (const byte of nameToBytes(location)) {
      if (byte === newline || byte === carriageReturn || byte === backslash) escaped.push(backslash);
      escaped.push(byte);
    }
    return Buffer.concat([Buffer.from(`${oid} `), Buffer.from(escaped), Buffer.of(newline)]);
  });
  return Buffer.concat(lines);
}

function parseLine(line: Buffer): MappedTablespace {
  const at = line.indexOf(space);
  const oid = line.toString('latin1', 0, Math.max(0, at));
  const location = nameFromBytes(line.subarray(at + 1));
  if (!/^[1-9]\d{0,9}$/.test(oid) || location === '' || location.includes('\0')) {
    throw damaged('a line names no tablespace and place');
  }
  return { oid: Number(oid), location };
}

function damaged(what: string): Error {
  return serverFileDamaged(`tablespace_map: ${what}`);
}
