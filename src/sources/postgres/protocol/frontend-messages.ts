// What we say to a server, as bytes. Pure.

const protocolVersion = 3 << 16;
const sslRequestCode = 80877103;

export function encodeSslRequest(): Buffer {
  const message = Buffer.alloc(8);
  message.writeInt32BE(8, 0);
  message.writeInt32BE(sslRequestCode, 4);
  return message;
}

export function encodeStartup(parameters: Readonly<Record<string, string>>): Buffer {
  const text = Object.entries(parameters).map(([name, value]) => `${name}\0${value}\0`);
  const body = Buffer.from(`${text.join('')}\0`);
  const head = Buffer.alloc(8);
  head.writeInt32BE(8 + body.length, 0);
  head.writeInt32BE(protocolVersion, 4);
  return Buffer.concat([head, body]);
}

export function encodeQuery(text: string): Buffer {
  return encodeMessage('Q', Buffer.from(`${text}\0`));
}

/** The answer to a demand for a password. */
export function encodePassword(text: string): Buffer {
  return encodeMessage('p', Buffer.from(`${text}\0`));
}

export function encodeSaslStart(mechanism: string, first: string): Buffer {
  const length = Buffer.alloc(4);
  length.writeInt32BE(Buffer.byteLength(first), 0);
  return encodeMessage('p', Buffer.concat([Buffer.from(`${mechanism}\0`), length, Buffer.from(first)]));
}

export function encodeSaslAnswer(text: string): Buffer {
  return encodeMessage('p', Buffer.from(text));
}

export function encodeCopyData(bytes: Uint8Array): Buffer {
  return encodeMessage('d', bytes);
}

export function encodeCopyDone(): Buffer {
  return encodeMessage('c', Buffer.alloc(0));
}

export function encodeCopyFail(reason: string): Buffer {
  return encodeMessage('f', Buffer.from(`${reason}\0`));
}

export function encodeTerminate(): Buffer {
  return encodeMessage('X', Buffer.alloc(0));
}

function encodeMessage(type: string, body: Uint8Array): Buffer {
  const message = Buffer.allocUnsafe(5 + body.length);
  message.write(type, 0, 'latin1');
  message.writeInt32BE(4 + body.length, 1);
  message.set(body, 5);
  return message;
}
