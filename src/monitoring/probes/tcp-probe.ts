// A port that accepts connections, and agrees on TLS where that is asked for.
import { once } from 'node:events';
import { connect, isIP } from 'node:net';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import type { ProbeOf } from '../../model/probe.ts';
import { certificatesIn } from '../certificates.ts';
import { conclude, endingCertificate, slowness, type Look, type LookParts } from './look.ts';

export async function probeTcp(settings: ProbeOf<'tcp'>, { signal, clock }: LookParts): Promise<Look> {
  const { host, port, certificateDays, slowMs } = settings;
  const ca = await certificatesIn(settings.ca);
  const startMs = clock.now();
  const certificateEndMs = settings.tls ? await agree({ host, port, ca }, signal) : await reach(host, port, signal);
  const latencyMs = clock.now() - startMs;
  const problems = [
    ...slowness(latencyMs, slowMs),
    ...endingCertificate(certificateEndMs, { certificateDays, nowMs: clock.now() }),
  ];
  const facts = certificateEndMs === undefined ? {} : { certificateEnds: new Date(certificateEndMs).toISOString() };
  return conclude(`port ${port} accepts connections`, problems, facts);
}

async function reach(host: string, port: number, signal: AbortSignal): Promise<undefined> {
  const socket = connect({ host, port });
  try {
    await once(socket, 'connect', { signal });
  } finally {
    socket.on('error', () => undefined); // It has told what there is to tell.
    socket.destroy();
  }
}

async function agree(
  { host, port, ca }: { readonly host: string; readonly port: number; readonly ca: string | undefined },
  signal: AbortSignal,
): Promise<number | undefined> {
  const name = isIP(host) === 0 ? { servername: host } : {};
  const socket: TLSSocket = connectTls({ host, port, ...name, ...(ca !== undefined && { ca }) });
  try {
    await once(socket, 'secureConnect', { signal });
    const endMs = Date.parse(socket.getPeerCertificate().valid_to);
    return Number.isNaN(endMs) ? undefined : endMs;
  } finally {
    socket.on('error', () => undefined);
    socket.destroy();
  }
}
