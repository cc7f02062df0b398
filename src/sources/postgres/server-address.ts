// Where a server is and who asks.

export type SslSetting =
  | { readonly mode: 'disable' | 'prefer' | 'require' }
  | { readonly mode: 'verify-ca' | 'verify-full'; readonly rootCertificateFile: string };

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
