// What alerts are sent to in tests: a web server that keeps every request and answers to order, and a real mail server.
import { once } from 'node:events';
import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type RequestListener,
  type ServerResponse,
} from 'node:http';
import { createServer as createEncryptedServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { SMTPServer, type SMTPServerOptions } from 'smtp-server';

export interface ReceivedRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

export interface WebReceiver extends AsyncDisposable {
  readonly url: string;
  readonly requests: readonly ReceivedRequest[];
  /** How requests are answered from now on. */
  answer: (response: ServerResponse, request: ReceivedRequest) => void;
}

export async function webReceiver(
  tls?: { readonly key: string; readonly cert: string },
  answer: WebReceiver['answer'] = (response) => response.end('ok'),
): Promise<WebReceiver> {
  const requests: ReceivedRequest[] = [];
  const take = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const { method = '', url = '', headers } = request;
    const received = { method, path: url, headers, body: await text(request) };
    requests.push(received);
    receiver.answer(response, received);
  };
  const listener: RequestListener = (request, response) => void take(request, response);
  const server = tls === undefined ? createServer(listener) : createEncryptedServer(tls, listener);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const scheme = tls === undefined ? 'http' : 'https';
  const receiver: WebReceiver = {
    url: `${scheme}://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    answer,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
  return receiver;
}

export interface ReceivedMail {
  readonly user: string | undefined;
  readonly isEncrypted: boolean;
  readonly from: string;
  readonly to: readonly string[];
  /** Headers by lower-case name, unfolded. */
  readonly headers: ReadonlyMap<string, string>;
  readonly source: string;
}

export interface MailReceiver extends AsyncDisposable {
  readonly port: number;
  readonly mails: readonly ReceivedMail[];
}

export async function mailReceiver(options: SMTPServerOptions): Promise<MailReceiver> {
  const mails: ReceivedMail[] = [];
  const server = new SMTPServer({
    closeTimeout: 100,
    ...options,
    async onData(stream, session, done) {
      const source = await text(stream).catch(brokenOff);
      if (source === undefined) return;
      const { mailFrom, rcptTo } = session.envelope;
      mails.push({
        user: session.user,
        isEncrypted: session.secure,
        from: mailFrom === false ? '' : mailFrom.address,
        to: rcptTo.map(({ address }) => address),
        headers: headersOf(source),
        source,
      });
      done();
    },
  });
  server.on('error', () => undefined); // Connections that tests break off.
  const listening = server.listen(0, '127.0.0.1');
  await once(listening, 'listening');
  return {
    port: (listening.address() as AddressInfo).port,
    mails,
    [Symbol.asyncDispose]: () => new Promise<void>((resolve) => server.close(() => resolve())),
  };
}

/** A sender that is killed in the middle of a mail. */
const brokenOff = (): undefined => undefined;

function headersOf(source: string): Map<string, string> {
  const head = source.slice(0, source.indexOf('\r\n\r\n')).replaceAll(/\r\n[ \t]+/g, ' ');
  return new Map(
    head
      .split('\r\n')
      .map((line) => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 2)]),
  );
}
