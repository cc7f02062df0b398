// A name server of a few lines, over UDP: answers A, TXT and MX from a table, "no such name" for all else, or nothing at all.
import { createSocket } from 'node:dgram';
import { once } from 'node:events';

const types = { A: 1, MX: 15, TXT: 16 } as const;

export interface NameServer extends AsyncDisposable {
  /** `127.0.0.1:5353`. */
  readonly address: string;
  /** `name type` → values. */
  readonly records: Map<string, readonly string[]>;
  isSilent: boolean;
}

export async function nameServer(records: Record<string, readonly string[]>): Promise<NameServer> {
  const socket = createSocket('udp4');
  const server: NameServer = {
    get address() {
      return `127.0.0.1:${socket.address().port}`;
    },
    records: new Map(Object.entries(records)),
    isSilent: false,
    async [Symbol.asyncDispose]() {
      socket.close();
      await once(socket, 'close');
    },
  };
  socket.on('message', (query, from) => {
    if (!server.isSilent) socket.send(answerTo(query, server.records), from.port, from.address);
  });
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  return server;
}

function answerTo(query: Buffer, records: ReadonlyMap<string, readonly string[]>): Buffer {
  const labels: string[] = [];
  let at = 12;
  for (let length = query.readUInt8(at); length > 0; length = query.readUInt8(at)) {
    labels.push(query.toString('latin1', at + 1, at + 1 + length));
    at += 1 + length;
  }
  const question = query.subarray(12, at + 5);
  const type = query.readUInt16BE(at + 1);
  const word = Object.entries(types).find(([, number]) => number === type)?.[0] ?? '';
  const values = records.get(`${labels.join('.').toLowerCase()} ${word}`);
  const head = Buffer.alloc(12);
  query.copy(head, 0, 0, 2);
  head.writeUInt16BE(values === undefined ? 0x8183 : 0x8180, 2);
  head.writeUInt16BE(1, 4);
  head.writeUInt16BE(values?.length ?? 0, 6);
  const answers = (values ?? []).map((value) => {
    const data = dataOf(word, value);
    const record = Buffer.alloc(12);
    record.writeUInt16BE(0xc00c, 0);
    record.writeUInt16BE(type, 2);
    record.writeUInt16BE(1, 4);
    record.writeUInt32BE(60, 6);
    record.writeUInt16BE(data.length, 10);
    return Buffer.concat([record, data]);
  });
  return Buffer.concat([head, question, ...answers]);
}

function dataOf(word: string, value: string): Buffer {
  if (word === 'A') return Buffer.from(value.split('.').map(Number));
  if (word === 'TXT') return Buffer.concat([Buffer.of(value.length), Buffer.from(value)]);
  const [priority = '0', name = ''] = value.split(' ');
  const labels = name.split('.').map((label) => Buffer.concat([Buffer.of(label.length), Buffer.from(label)]));
  return Buffer.concat([Buffer.of(0, Number(priority)), ...labels, Buffer.of(0)]);
}
