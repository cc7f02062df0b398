// The hash of a server's certificate that binds an authentication to the encrypted connection it runs over (RFC 5929,
// tls-server-end-point).
import { createHash, X509Certificate } from 'node:crypto';

/** Undefined if the certificate's own signature names no hash (Ed25519, RSA-PSS): it can't be bound to then. */
export function certificateHash(certificate: Buffer): Buffer | undefined {
  const algorithm = new X509Certificate(certificate).signatureAlgorithm ?? '';
  const name = /(md5|sha-?(?:1|224|256|384|512))(?!\d)/i.exec(algorithm)?.[1]?.toLowerCase().replace('-', '');
  if (name === undefined) return undefined;
  return createHash(name === 'md5' || name === 'sha1' ? 'sha256' : name)
    .update(certificate)
    .digest();
}
