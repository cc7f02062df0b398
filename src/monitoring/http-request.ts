// One HTTP request, as receivers of alerts and probes need it: bounded, given up at once when its signal aborts, with
// certificates of its own, and no redirect followed behind the caller's back. `fetch` takes neither a certificate nor
// tells the one that the server showed.
import { request as requestPlain, type ClientRequest, type IncomingHttpHeaders, type IncomingMessage } from 'node:http';
import { request as requestEncrypted } from 'node:https';
import { TLSSocket } from 'node:tls';

export interface HttpRequest {
  readonly url: string;
  readonly method: string;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  readonly body?: string | undefined;
  /** Certificates in PEM to trust instead of those that Node brings. */
  readonly ca?: string | undefined;
  /** What goes beyond is not read. */
  readonly bodyMaxBytes: number;
}

export interface HttpAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  /** There was more than `bodyMaxBytes`. */
  readonly isCut: boolean;
  /** When the certificate that the server showed ends. */
  readonly certificateEndMs: number | undefined;
}

/** Rejects with Node's own errors: see `network-fact.ts`. */
export async function httpRequest(request: HttpRequest, signal: AbortSignal): Promise<HttpAnswer> {
  signal.throwIfAborted();
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const outgoing = start(request, signal);
  outgoing.once('response', resolve);
  // Stays, so that a connection that breaks later ends the reading below and not the process.
  outgoing.on('error', reject);
  outgoing.end(request.body);
  try {
    const response = await promise;
    const { socket } = response;
    const certificateEndMs =
      socket instanceof TLSSocket ? Date.parse(socket.getPeerCertificate().valid_to) : Number.NaN;
    return {
      status: response.statusCode ?? 0,
      headers: response.headers,
      ...(await bodyOf(response, request.bodyMaxBytes)),
      certificateEndMs: Number.isNaN(certificateEndMs) ? undefined : certificateEndMs,
    };
  } finally {
    outgoing.destroy();
  }
}

function start({ url, method, headers, body, ca }: HttpRequest, signal: AbortSignal): ClientRequest {
  const length = body === undefined ? {} : { 'content-length': String(Buffer.byteLength(body)) };
  const all = { 'user-agent': 'lifeboat', ...headers, ...length };
  // A connection of its own: nothing is kept for a next time that may come in hours.
  const options = { method, headers: all, signal, agent: false as const };
  if (url.startsWith('https:')) return requestEncrypted(url, { ...options, ...(ca !== undefined && { ca }) });
  return requestPlain(url, options);
}

async function bodyOf(response: IncomingMessage, maxBytes: number): Promise<Pick<HttpAnswer, 'body' | 'isCut'>> {
  const pieces: Buffer[] = [];
  let sizeBytes = 0;
  for await (const piece of response as AsyncIterable<Buffer>) {
    pieces.push(piece);
    sizeBytes += piece.length;
    if (sizeBytes > maxBytes) return { body: Buffer.concat(pieces).subarray(0, maxBytes), isCut: true };
  }
  return { body: Buffer.concat(pieces), isCut: false };
}
