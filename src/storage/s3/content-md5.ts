// The integrity header that every S3 server understands, and that buckets with object lock demand.
import { hash } from 'node:crypto';

export function contentMd5(bytes: Uint8Array): string {
  return hash('md5', bytes, 'base64');
}
