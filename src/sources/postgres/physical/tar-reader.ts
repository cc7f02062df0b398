// Reads the tar archives of a base backup as they come: PostgreSQL's own dialect of ustar and nothing else. Content is handed
// on as views of the bytes that came in. Names come from a server that may be hostile: none that leaves its folder gets through.
import assert from 'node:assert/strict';
import { AppError } from '../../../base/errors.ts';
import { nameFromBytes } from '../../../base/byte-name.ts';

export interface TarMember {
  /** Relative, `/`-separated, without `.`, `..` or a slash at its end; a byte name. */
  readonly path: string;
  readonly type: 'file' | 'folder' | 'link';
  /** Permission bits. */
  readonly mode: number;
  /** Of the account that the server runs as. */
  readonly userId: number;
  readonly groupId: number;
  readonly sizeBytes: number;
  readonly modifiedSeconds: number;
  /** Where a link points to, as the server gave it; absolute for tablespaces. */
  readonly linkTarget?: string | undefined;
}

export type TarEvent =
  | { readonly kind: 'member'; readonly member: TarMember }
  /** The next bytes of the last member's content: a view of what was pushed, never empty. */
  | { readonly kind: 'content'; readonly bytes: Uint8Array }
  /** All of the last member's content came; every member has one. */
  | { readonly kind: 'member-end' };

const blockBytes = 512;

type State =
  | { readonly at: 'header'; filled: number }
  | { readonly at: 'content'; leftBytes: number; readonly padBytes: number }
  | { readonly at: 'padding'; leftBytes: number }
  | { readonly at: 'end' };

export class TarReader {
  readonly #block = Buffer.alloc(blockBytes);
  #state: State = { at: 'header', filled: 0 };

  /** Yields what the bytes hold; the caller must take all before it pushes again. */
  *push(bytes: Uint8Array): Generator<TarEvent, void, void> {
    let at = 0;
    while (at < bytes.length) {
      const state = this.#state;
      switch (state.at) {
        case 'header': {
          const count = Math.min(blockBytes - state.filled, bytes.length - at);
          this.#block.set(bytes.subarray(at, at + count), state.filled);
          state.filled += count;
          at += count;
          if (state.filled === blockBytes) yield* this.#openMember();
          break;
        }
        case 'content': {
          const count = Math.min(state.leftBytes, bytes.length - at);
          state.leftBytes -= count;
          if (state.leftBytes === 0) this.#state = this.#behindContent(state.padBytes);
          yield { kind: 'content', bytes: bytes.subarray(at, at + count) };
          if (this.#state !== state) yield { kind: 'member-end' };
          at += count;
          break;
        }
        case 'padding': {
          const count = Math.min(state.leftBytes, bytes.length - at);
          state.leftBytes -= count;
          at += count;
          if (state.leftBytes === 0) this.#state = { at: 'header', filled: 0 };
          break;
        }
        case 'end':
          if (bytes.subarray(at).some((byte) => byte !== 0)) throw tarDamaged('bytes follow its end');
          return;
        default:
          state satisfies never;
      }
    }
  }

  /** Rejects an archive that broke off. PostgreSQL 14 leaves out the blocks of zeros that end an archive. */
  finish(): void {
    const state = this.#state;
    const isWhole = state.at === 'end' || (state.at === 'header' && state.filled === 0);
    if (!isWhole) throw tarDamaged('it is cut short');
  }

  *#openMember(): Generator<TarEvent, void, void> {
    if (this.#block.every((byte) => byte === 0)) {
      this.#state = { at: 'end' };
      return;
    }
    const member = readHeader(this.#block);
    const padBytes = -member.sizeBytes & (blockBytes - 1);
    const isEmpty = member.sizeBytes === 0;
    this.#state = isEmpty ? { at: 'header', filled: 0 } : { at: 'content', leftBytes: member.sizeBytes, padBytes };
    yield { kind: 'member', member };
    if (isEmpty) yield { kind: 'member-end' };
  }

  #behindContent(padBytes: number): State {
    return padBytes === 0 ? { at: 'header', filled: 0 } : { at: 'padding', leftBytes: padBytes };
  }
}

const types: Readonly<Record<string, TarMember['type']>> = { '0': 'file', '\0': 'file', '2': 'link', '5': 'folder' };

function readHeader(block: Buffer): TarMember {
  assert.equal(block.length, blockBytes);
  if (block.toString('latin1', 257, 262) !== 'ustar') throw tarDamaged('a member has no ustar header');
  const checksum = readNumber(block, 148, 8);
  if (checksum !== sumOf(block)) throw tarDamaged('the header of a member was altered');
  const type = types[block.toString('latin1', 156, 157)];
  if (type === undefined || block[345] !== 0) {
    throw new AppError('SOURCE_UNSUPPORTED', 'an archive of the base backup has a member of a kind that is not known', {
      hint: 'Update this program to one that knows the version of the server.',
    });
  }
  const path = safePath(textField(block, 0, 100));
  const sizeBytes = type === 'file' ? readNumber(block, 124, 12) : 0;
  const modifiedSeconds = readNumber(block, 136, 12);
  const linkTarget = type === 'link' ? textField(block, 157, 100).replace(/\/+$/, '') : undefined;
  if (linkTarget === '') throw tarDamaged(`the link ${path} points nowhere`);
  const [userId, groupId] = [readNumber(block, 108, 8), readNumber(block, 116, 8)];
  return {
    path,
    type,
    mode: readNumber(block, 100, 8) & 0o7777,
    userId,
    groupId,
    sizeBytes,
    modifiedSeconds,
    linkTarget,
  };
}

/** The sum of a header is made with blanks in its own place. */
function sumOf(block: Buffer): number {
  let sum = 8 * 0x20;
  for (let at = 0; at < blockBytes; at += 1) if (at < 148 || at >= 156) sum += block[at]!;
  return sum;
}

function textField(block: Buffer, from: number, sizeBytes: number): string {
  const field = block.subarray(from, from + sizeBytes);
  const end = field.indexOf(0);
  return nameFromBytes(end === -1 ? field : field.subarray(0, end));
}

/** Octal digits, or from 8 GiB on a binary number behind a byte 0x80. */
function readNumber(block: Buffer, from: number, sizeBytes: number): number {
  const field = block.subarray(from, from + sizeBytes);
  let value = 0;
  if (field[0] === 0x80) {
    for (const byte of field.subarray(1)) value = value * 256 + byte;
  } else {
    const digits = field.toString('latin1').replace(/[\0 ]+$/, '');
    if (!/^ *[0-7]*$/.test(digits)) throw tarDamaged('the header of a member holds no number where one belongs');
    value = Number.parseInt(digits.trim() || '0', 8);
  }
  if (!Number.isSafeInteger(value)) throw tarDamaged('the header of a member holds a number too large');
  return value;
}

function safePath(name: string): string {
  const path = name.replace(/^(?:\.\/+)+/, '').replace(/\/+$/, '');
  const isSafe = path !== '' && path.split('/').every((part) => part !== '' && part !== '.' && part !== '..');
  if (isSafe) return path;
  throw new AppError('HOSTILE_CONTENT', `an archive of the base backup holds the name ${JSON.stringify(name)}`, {
    hint: 'Do not trust this server; find out what answers at its address.',
  });
}

function tarDamaged(what: string): AppError {
  return new AppError('SOURCE_FAILED', `an archive of the base backup is damaged: ${what}`, {
    hint: 'Take the backup again.',
  });
}
