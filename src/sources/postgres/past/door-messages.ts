// The few messages of the wire protocol that a client and a server exchange before a session begins, seen from the server's side.
// Pure: bytes in, data out.

const cancelCode = 80_877_102;
const tlsCode = 80_877_103;
const gssCode = 80_877_104;
const protocolMajor = 3;
/** PostgreSQL's own limit. */
const startupBytesMax = 10_000;
const passwordBytesMax = 1_000;

export type Greeting =
  | { readonly kind: 'encryption' }
  /** Of a session that is to be cancelled: it carries the secret that the server gave that session. */
  | { readonly kind: 'cancel'; readonly bytes: Buffer }
  | { readonly kind: 'startup'; readonly bytes: Buffer };

export interface Read<Message> {
  readonly message: Message;
  readonly sizeBytes: number;
}

/** `more` if it is not whole yet, undefined if it is none. */
export function readGreeting(bytes: Buffer): Read<Greeting> | 'more' | undefined {
  if (bytes.length < 8) return 'more';
  const sizeBytes = bytes.readUInt32BE(0);
  const code = bytes.readUInt32BE(4);
  if (sizeBytes < 8 || sizeBytes > startupBytesMax) return undefined;
  if (bytes.length < sizeBytes) return 'more';
  if (code === tlsCode || code === gssCode) return { message: { kind: 'encryption' }, sizeBytes };
  const whole = Buffer.from(bytes.subarray(0, sizeBytes));
  if (code === cancelCode) return { message: { kind: 'cancel', bytes: whole }, sizeBytes };
  return code >>> 16 === protocolMajor ? { message: { kind: 'startup', bytes: whole }, sizeBytes } : undefined;
}

export function readPassword(bytes: Buffer): Read<string> | 'more' | undefined {
  if (bytes.length > 0 && bytes[0] !== 0x70) return undefined;
  if (bytes.length < 5) return 'more';
  const sizeBytes = bytes.readUInt32BE(1) + 1;
  if (sizeBytes < 6 || sizeBytes > passwordBytesMax) return undefined;
  if (bytes.length < sizeBytes) return 'more';
  if (bytes[sizeBytes - 1] !== 0) return undefined;
  return { message: bytes.toString('utf8', 5, sizeBytes - 1), sizeBytes };
}

/** In clear: it crosses loopback only. */
export function passwordRequest(): Buffer {
  return Buffer.from([0x52, 0, 0, 0, 8, 0, 0, 0, 3]);
}

/** An error of the class that clients show as a failed login. */
export function refusal(message: string): Buffer {
  const fields = Buffer.from(`SFATAL\0VFATAL\0C28P01\0M${message}\0\0`);
  const head = Buffer.alloc(5);
  head.write('E');
  head.writeUInt32BE(fields.length + 4, 1);
  return Buffer.concat([head, fields]);
}
