// Where a server is and who asks.

/** How TLS begins: after a question in PostgreSQL's own protocol, or at once (17 and later, saves a round trip). */
export type SslNegotiation = 'postgres' | 'direct';

/** Who we are by TLS, for servers that ask for it. */
export interface ClientCertificate {
  readonly certificateFile: string;
  readonly keyFile: string;
  /** Of the key; absent if it needs none. */
  readonly keyPassword?: string | undefined;
}

interface TlsDetails {
  /** `postgres` if absent. */
  readonly negotiation?: SslNegotiation | undefined;
  readonly client?: ClientCertificate | undefined;
}

/** Stands for the certificates that the machine trusts, in place of a file. */
export const systemRoots = 'system';

export type SslSetting =
  | ({ readonly mode: 'disable' | 'prefer' | 'require' } & TlsDetails)
  | ({ readonly mode: 'verify-ca' | 'verify-full'; readonly rootCertificateFile: string } & TlsDetails);

export interface ServerAddress {
  /** Name, address, or the folder of a unix socket. */
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password?: string | undefined;
  readonly ssl: SslSetting;
}

/** For people and errors: never the password. */
export function describeServer(address: ServerAddress): string {
  return address.host.startsWith('/') ? `${address.host} (port ${address.port})` : `${address.host}:${address.port}`;
}
