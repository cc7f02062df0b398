// An access control list as Linux keeps it in an extended attribute, in the words that tar archives have for it. Pure.

const version = 2;
const headBytes = 4;
const entryBytes = 8;

const words: Readonly<Record<number, string>> = {
  0x01: 'user',
  0x02: 'user',
  0x04: 'group',
  0x08: 'group',
  0x10: 'mask',
  0x20: 'other',
};
/** Entries of these tags are about one account or group, by its number. */
const namedTags = new Set([0x02, 0x08]);

/** One entry a line, such as `user:1000:rw-`; undefined for what is no such list. */
export function aclText(value: Buffer): string | undefined {
  const isList = value.length >= headBytes && (value.length - headBytes) % entryBytes === 0;
  if (!isList || value.readUInt32LE(0) !== version) return undefined;
  const lines: string[] = [];
  for (let at = headBytes; at < value.length; at += entryBytes) {
    const tag = value.readUInt16LE(at);
    const word = words[tag];
    if (word === undefined) return undefined;
    const whose = namedTags.has(tag) ? value.readUInt32LE(at + 4) : '';
    lines.push(`${word}:${whose}:${permissionText(value.readUInt16LE(at + 2))}\n`);
  }
  return lines.join('');
}

function permissionText(bits: number): string {
  return `${bits & 4 ? 'r' : '-'}${bits & 2 ? 'w' : '-'}${bits & 1 ? 'x' : '-'}`;
}
