// The mailbox of whoever is on call at the shop: a mail server on this machine that keeps what it is sent.
import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { SMTPServer } from 'smtp-server';
import { asError } from '../base/errors.ts';

export interface Mail {
  readonly subject: string;
  /** Where it lies. */
  readonly path: string;
  readonly receivedMs: number;
}

export interface Mailbox extends AsyncDisposable {
  /** At which it listens, on this machine alone. */
  readonly port: number;
  readonly mails: readonly Mail[];
}

const sizeMaxBytes = 1 << 20;
const closeMaxMs = 1000;

export async function openMailbox(folder: string, now: () => number): Promise<Mailbox> {
  await mkdir(folder, { recursive: true });
  const mails: Mail[] = [];
  const keep = async (stream: AsyncIterable<Buffer>, done: (error?: Error) => void): Promise<void> => {
    try {
      const source = await text(stream);
      const path = join(folder, `${String(mails.length + 1).padStart(3, '0')}.eml`);
      mails.push({ subject: subjectOf(source), path, receivedMs: now() });
      await writeFile(path, source);
    } catch (error) {
      done(asError(error));
      return;
    }
    done();
  };
  const server = new SMTPServer({
    authOptional: true,
    disabledCommands: ['AUTH', 'STARTTLS'],
    size: sizeMaxBytes,
    closeTimeout: closeMaxMs,
    onData: (stream, _session, done) => void keep(stream, done),
  });
  server.on('error', () => undefined); // Of one connection; whoever sent by it tries again.
  server.listen(0, '127.0.0.1');
  await once(server.server, 'listening');
  return {
    port: (server.server.address() as AddressInfo).port,
    mails,
    [Symbol.asyncDispose]: () => new Promise((resolve) => server.close(resolve)),
  };
}

/** Long ones go on in the next lines. */
function subjectOf(source: string): string {
  const found = /^subject: *(?<subject>.*(?:\r?\n[ \t].*)*)/im.exec(source)?.groups?.['subject'] ?? '';
  return found.replaceAll(/\r?\n[ \t]+/g, ' ').trim();
}
