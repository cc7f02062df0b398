// Who asks the API in bench/api.ts, and how long they wait.
import { once } from 'node:events';
import { Agent, get, type IncomingMessage } from 'node:http';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { systemRandom } from '../src/base/random.ts';

export const paths = [
  '/api/v1/runs',
  '/api/v1/components',
  '/api/v1/schedules',
  '/api/v1/sessions/current',
  '/metrics',
] as const;

export interface Served {
  readonly url: string;
  readonly token: string;
}

export interface Answered {
  readonly path: string;
  readonly tookMs: number;
}

/** One connection, kept. Each has an address of its own, since the server counts the requests of each. */
export class Client implements Disposable {
  readonly #served: Served;
  readonly #agent: Agent;

  constructor(served: Served, number: number) {
    this.#served = served;
    this.#agent = new Agent({ keepAlive: true, maxSockets: 1, localAddress: `127.0.0.${number + 2}` });
  }

  async ask(path: string): Promise<string> {
    const { url, token } = this.#served;
    const request = get(`${url}${path}`, { agent: this.#agent, headers: { authorization: `Bearer ${token}` } });
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    const body = await text(response);
    if (response.statusCode === 200) return body;
    throw new Error(`${path} was answered with ${response.statusCode}: ${body}`);
  }

  [Symbol.dispose](): void {
    this.#agent.destroy();
  }
}

/** One request after the other until the time is over. */
export async function askAtOnce(client: Client, path: string, untilMs: number): Promise<Answered[]> {
  const answered: Answered[] = [];
  while (performance.now() < untilMs) {
    const startMs = performance.now();
    await client.ask(path);
    answered.push({ path, tookMs: performance.now() - startMs });
  }
  return answered;
}

/** All paths in turn, a request at each beat. One that comes late because of the answer before it has waited since its beat. */
export async function askByBeat(
  client: Client,
  { number, everyMs, untilMs }: { readonly number: number; readonly everyMs: number; readonly untilMs: number },
): Promise<Answered[]> {
  const answered: Answered[] = [];
  let beatMs = performance.now() + everyMs * systemRandom();
  for (let round = number; beatMs < untilMs; round += 1, beatMs += everyMs) {
    const isLate = performance.now() > beatMs;
    if (!isLate) await sleep(beatMs - performance.now());
    const startMs = isLate ? beatMs : performance.now();
    const path = paths[round % paths.length] ?? paths[0];
    await client.ask(path);
    answered.push({ path, tookMs: performance.now() - startMs });
  }
  return answered;
}

export function waitsOf(answered: readonly Answered[]): Readonly<Record<string, number>> {
  const tookMs = answered.map((one) => one.tookMs).toSorted((left, right) => left - right);
  const share = (part: number): number => Number((tookMs[Math.floor((tookMs.length - 1) * part)] ?? NaN).toFixed(1));
  return { p50Ms: share(0.5), p95Ms: share(0.95), p99Ms: share(0.99), maxMs: share(1) };
}
