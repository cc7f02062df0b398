import fc from 'fast-check';
import { expect, test } from 'vitest';
import { onlyAppErrors } from '../../../../test/support/only-app-errors.ts';
import { goldenMajors, goldenPassword, readGoldens, type Golden } from '../../../../test/support/postgres-goldens.ts';
import { isAppError } from '../../../base/errors.ts';
import { Authentication } from './authentication.ts';
import { BackendDecoder, type CopyFrame, type Frame } from './backend-decoder.ts';
import { PlainArchiveDecoder, TypedArchiveDecoder, type BaseBackupEvent } from './base-backup-decoder.ts';
import { encodeStandbyStatus, WalMessageDecoder } from './replication-messages.ts';
import { decodeRow, decodeRowDescription, textRows, type Column, type RawRow } from './rows.ts';
import { decodeNotice } from './server-notice.ts';

function framesOf(said: Buffer): Frame[] {
  const decoder = new BackendDecoder();
  decoder.push(said);
  return Iterator.from({ next: () => ({ value: decoder.next(), done: false as const }) })
    .take(1_000)
    .toArray()
    .filter((frame) => frame !== undefined);
}

function part(major: number, name: string): Golden {
  const golden = readGoldens(major).get(name);
  if (golden === undefined) throw new Error(`nothing was recorded as ${name}`);
  return golden;
}

/** Rows and errors in the order in which they came. */
function answers(frames: readonly Frame[]) {
  const found: unknown[] = [];
  let columns: Column[] = [];
  let rows: RawRow[] = [];
  for (const frame of frames) {
    if (frame.kind === 'copy') continue;
    const { type, body } = frame;
    if (type === 'T') columns = decodeRowDescription(body);
    if (type === 'D') rows.push(decodeRow(body, columns));
    if (type === 'C' && rows.length > 0) found.push(...textRows({ columns, rows, tag: '' }));
    if (type === 'C') rows = [];
    if (type === 'E' || type === 'N') {
      const { severity, code, message, detail, hint } = decodeNotice(body);
      found.push({ severity, code, message, detail, hint });
    }
  }
  return found;
}

const none = { bytes: Buffer.alloc(0) };
const lsn = /^[0-9A-F]+\/[0-9A-F]+$/;

for (const major of goldenMajors) {
  test(`answers of PostgreSQL ${major} to commands are rows and errors with all their fields`, () => {
    expect(answers(framesOf(part(major, 'commands').said))).toEqual([
      {
        systemid: expect.stringMatching(/^\d{19}$/),
        timeline: '1',
        xlogpos: expect.stringMatching(lsn),
        dbname: 'postgres',
      },
      { wal_level: 'replica' },
      {
        severity: 'ERROR',
        code: '42704',
        message: 'unrecognized configuration parameter "nonsense.setting"',
        detail: undefined,
        hint: undefined,
      },
      { slot_name: 'golden', consistent_point: '0/0', snapshot_name: undefined, output_plugin: undefined },
      {
        slot_type: 'physical',
        restart_lsn: expect.stringMatching(lsn),
        wal_status: 'reserved',
        active_pid: undefined,
        safe_wal_size: undefined,
      },
      expect.objectContaining({ severity: 'ERROR', code: '58P01' }),
      { severity: 'WARNING', code: '01000', message: 'well', detail: 'more', hint: 'do' },
    ]);
  });

  test(`a login at PostgreSQL ${major} is answered as the server accepted it`, async () => {
    const { messages } = part(major, 'commands');
    const ours = messages.filter(({ from }) => from === 'us').map(({ bytes }) => bytes);
    const nonce = /r=([^,]+)$/.exec(ours[1]?.toString('latin1') ?? '')?.[1] ?? '';
    const credentials = { user: 'lifeboat', nonce, isEncrypted: false, certificateHash: undefined };
    const demands = messages.filter(({ from, bytes }) => from === 'server' && bytes.at(0) === 'R'.charCodeAt(0));
    const good = new Authentication({ ...credentials, password: goldenPassword });
    const answered: unknown[] = [];
    for (const { bytes } of demands) answered.push(await good.next(bytes.subarray(5)));
    expect(answered).toEqual([ours[1], ours[2], undefined, 'done']);

    // Another password gives another answer, and a server that does not know ours is found out.
    const bad = new Authentication({ ...credentials, password: 'other' });
    await bad.next((demands[0] ?? none).bytes.subarray(5));
    expect(await bad.next((demands[1] ?? none).bytes.subarray(5))).not.toEqual(ours[2]);
    await expect(bad.next((demands[2] ?? none).bytes.subarray(5))).rejects.toMatchObject({ code: 'SOURCE_DENIED' });
    // Nor may it leave its proof out.
    const early = new Authentication({ ...credentials, password: goldenPassword });
    await early.next((demands[0] ?? none).bytes.subarray(5));
    await early.next((demands[1] ?? none).bytes.subarray(5));
    await expect(early.next((demands[3] ?? none).bytes.subarray(5))).rejects.toMatchObject({ code: 'SOURCE_FAILED' });
  });

  test(`a base backup of PostgreSQL ${major} is a sequence of archives`, () => {
    const frames = framesOf(part(major, 'backup').said);
    const events: BaseBackupEvent[] = [];
    const typed = new TypedArchiveDecoder([{ oid: 16384, location: 'pg_tblspc/16384' }]);
    const plain = new PlainArchiveDecoder([], true);
    for (const frame of frames) {
      if (frame.kind === 'copy') events.push(...(major >= 15 ? typed : plain).decode(frame));
      else if (frame.type === 'H' && major < 15) events.push(plain.begin());
      else if (frame.type === 'c') events.push(...(major >= 15 ? typed : plain).finish());
    }
    const kinds = events.map(({ kind }) => kind).filter((kind, at, all) => all[at - 1] !== kind);
    const archive = ['archive', 'data', ...(major >= 15 ? ['progress', 'archive-end'] : ['archive-end', 'progress'])];
    expect(kinds).toEqual([...(major >= 16 ? archive : []), ...archive, 'manifest', 'manifest-end']);
    const names = events.flatMap((event) => (event.kind === 'archive' ? [event.name] : []));
    expect(names.at(-1)).toBe('base.tar');
    const labels = events.flatMap((event) => (event.kind === 'data' ? [event.bytes.toString()] : []));
    expect(
      labels.some((text) => text.startsWith('START WAL LOCATION: 0/2000028 (file 000000010000000000000002)')),
    ).toBe(true);
  });

  test(`a WAL stream of PostgreSQL ${major} is data and keepalives`, () => {
    const { said, messages } = part(major, 'wal');
    const decoder = new WalMessageDecoder();
    const copies = framesOf(said).filter((frame) => frame.kind === 'copy');
    const events = copies.map((frame) => decoder.decode(frame));
    const [first] = events;
    if (first?.kind !== 'data') throw new Error('no data');
    expect(first.lsn & 0xff_ffffn).toBe(0n);
    expect(first.serverEnd >= first.lsn).toBe(true);
    expect(first.bytes.includes('golden')).toBe(true);
    // Recorded in the years in which these servers are kept up.
    expect(new Date(first.serverTimeMs).getUTCFullYear()).toBeGreaterThanOrEqual(2026);
    expect(new Date(first.serverTimeMs).getUTCFullYear()).toBeLessThan(2040);
    expect(events.at(-1)).toMatchObject({ kind: 'keepalive', replyRequested: false });

    // A report as the server took it.
    const ours = messages.find(({ from, bytes }) => from === 'us' && bytes.toString('latin1', 5, 6) === 'r')!.bytes;
    const status = { written: ours.readBigUInt64BE(6), flushed: ours.readBigUInt64BE(14), replyRequested: true };
    const clockMs = 946_684_800_000 + Number(ours.readBigInt64BE(30)) / 1000;
    expect(encodeStandbyStatus(status, clockMs)).toEqual(ours);
    expect(status.flushed).toBe(first.lsn);
  });
}

test('pieces of WAL follow one another wherever they are cut', () => {
  const head = Buffer.alloc(25);
  head.write('w');
  head.writeBigUInt64BE(0xffff_fff0n, 1);
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 50 }), { minLength: 1 }), (pieces) => {
      const decoder = new WalMessageDecoder();
      let next = 0xffff_fff0n;
      pieces.forEach((piece, number) => {
        const bytes = number === 0 ? Buffer.concat([head, piece]) : Buffer.from(piece);
        const frame: CopyFrame = { kind: 'copy', bytes, isStart: number === 0, isEnd: number === pieces.length - 1 };
        const event = decoder.decode(frame);
        expect(event === undefined).toBe(piece.length === 0);
        if (event?.kind === 'data') next = event.lsn === next ? next + BigInt(event.bytes.length) : -1n;
      });
      expect(next).toBe(0xffff_fff0n + BigInt(Buffer.concat(pieces).length));
    }),
  );
});

const bodies = goldenMajors.flatMap((major) =>
  [...readGoldens(major).values()].flatMap(({ said }) =>
    framesOf(said).map((frame) => (frame.kind === 'copy' ? frame.bytes : frame.body)),
  ),
);
const altered = fc
  .tuple(fc.constantFrom(...bodies), fc.nat(300), fc.nat(255), fc.nat(300))
  .map(([body, at, value, end]) => {
    const copy = Buffer.from(body.subarray(0, Math.max(1, end)));
    copy[at % copy.length] = value;
    return copy;
  });
const noise = fc.oneof(
  fc.uint8Array({ maxLength: 100 }).map((bytes) => Buffer.from(bytes)),
  altered,
);

test('any bytes where a message should be yield a value or our error', () => {
  fc.assert(
    fc.property(noise, fc.boolean(), fc.boolean(), (bytes, isStart, isEnd) => {
      const frame: CopyFrame = { kind: 'copy', bytes, isStart, isEnd };
      const decoders = [
        () => decodeNotice(bytes),
        () => decodeRow(bytes, decodeRowDescription(bytes)),
        () => decodeRow(bytes, [{ name: 'a', typeOid: 25 }]),
        () => new WalMessageDecoder().decode(frame),
        () => new TypedArchiveDecoder([]).decode(frame),
        () => {
          const decoder = new TypedArchiveDecoder([]);
          decoder.decode({ kind: 'copy', bytes: Buffer.from('m'), isStart: true, isEnd: true });
          decoder.decode(frame);
          decoder.finish();
        },
      ];
      for (const decode of decoders) expect(() => onlyAppErrors(decode)).not.toThrow();
    }),
    { numRuns: 2_000 },
  );
});

test('any demands for authentication are answered or refused with our error', async () => {
  const credentials = { user: 'me', password: 'x', nonce: 'abc', isEncrypted: false, certificateHash: undefined };
  await fc.assert(
    fc.asyncProperty(fc.array(noise, { maxLength: 4 }), async (demands) => {
      const authentication = new Authentication(credentials);
      let failure: unknown;
      try {
        for (const demand of demands) await authentication.next(demand);
      } catch (error) {
        failure = error;
      }
      expect(failure === undefined || isAppError(failure)).toBe(true);
    }),
    { numRuns: 500 },
  );
});
