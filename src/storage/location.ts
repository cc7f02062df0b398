// The address of a repository, as people write it, taken apart. Pure: resolves no path, asks no server.
// Credentials never belong into an address, since addresses end up in logs and process lists: one that holds some is
// refused, and no message repeats the part that may hold them.
import { fileURLToPath } from 'node:url';
import { AppError } from '../base/errors.ts';
import type { S3ClientOptions } from '../base/s3-options.ts';

export type StoreLocation = LocalLocation | S3Location;

interface LocalLocation {
  readonly kind: 'local';
  /** As written: possibly relative. */
  readonly path: string;
}

export interface S3Location {
  readonly kind: 's3';
  readonly bucket: string;
  /** Without slashes at its ends; empty for the whole bucket. */
  readonly prefix: string;
  readonly client: S3ClientOptions;
  /** Encryption at rest by the server, beside our own; the bucket's default if absent. */
  readonly serverEncryption?: ServerEncryption | undefined;
  /** Storage class of bulk data; metadata always stays in the standard class, where it can be read at once. */
  readonly bulkStorageClass?: string | undefined;
  /** Whether bulk data carries the tag that lifecycle rules look for; not every server knows tags. */
  readonly tagsBulkData?: boolean | undefined;
}

type ServerEncryption =
  | { readonly algorithm: 'AES256' }
  | { readonly algorithm: 'aws:kms'; readonly keyId?: string | undefined };

const forms = "Write '/path', './path', 'file:///path' or 's3://bucket/prefix?region=…'.";

export function parseLocation(address: string): StoreLocation {
  if (address === '' || address.includes('\0'))
    throw new AppError('USAGE', 'empty repository address', { hint: forms });
  const scheme = /^([a-z][a-z0-9+.-]*):/i.exec(address)?.[1]?.toLowerCase();
  if (scheme === undefined) return localLocation(address);
  if (scheme === 'file') return fileLocation(address);
  if (scheme === 's3') return s3Location(address);
  throw new AppError('USAGE', `repository addresses that begin with '${scheme}:' are not known`, { hint: forms });
}

function localLocation(path: string): LocalLocation {
  if (path.startsWith('~')) {
    throw new AppError('USAGE', `'${path}' begins with '~', which only a shell expands`, {
      hint: "Write the full path, or './~…' for a folder of that name.",
    });
  }
  return { kind: 'local', path };
}

function fileLocation(address: string): LocalLocation {
  const rest = address.slice('file:'.length);
  if (!rest.startsWith('/')) {
    if (rest === '') throw new AppError('USAGE', "'file:' without a path", { hint: forms });
    return localLocation(rest);
  }
  const url = parseUrl(address, 'file');
  if (url.host !== '') {
    throw new AppError('USAGE', "a 'file:' address names a host", { hint: "Write three slashes: 'file:///path'." });
  }
  try {
    return { kind: 'local', path: fileURLToPath(`file://${url.pathname}`) };
  } catch (error) {
    throw new AppError('USAGE', "the path of the 'file:' address is not valid", { hint: forms, cause: error });
  }
}

function s3Location(address: string): S3Location {
  if (!/^s3:\/\//i.test(address)) {
    throw new AppError('USAGE', "an S3 address without 's3://'", {
      hint: "Write 's3://bucket/prefix'; a server other than AWS goes into '?endpoint=https://host:port'.",
    });
  }
  const url = parseUrl(address, 's3');
  if (url.hash !== '') throw new AppError('USAGE', "the S3 address holds a '#'", { hint: "Write '%23' for it." });
  const bucket = url.hostname;
  if (!/^[a-zA-Z0-9][a-zA-Z0-9._-]{1,253}[a-zA-Z0-9]$/.test(bucket) || url.port !== '') {
    throw new AppError('USAGE', 'the S3 address does not begin with the name of a bucket', {
      hint: "Write 's3://bucket/prefix'; a server other than AWS goes into '?endpoint=https://host:port'.",
    });
  }
  return { kind: 's3', bucket, prefix: prefixOf(url), ...s3Parameters(url.searchParams) };
}

function prefixOf(url: URL): string {
  let prefix: string;
  try {
    prefix = decodeURIComponent(url.pathname).replaceAll(/^\/+|\/+$/g, '');
  } catch (error) {
    throw new AppError('USAGE', 'the prefix of the S3 address is not valid', {
      hint: "Write '%25' for a percent sign.",
      cause: error,
    });
  }
  if (prefix.includes('//')) {
    throw new AppError('USAGE', `the prefix '${prefix}' holds an empty part`, { hint: 'Remove the doubled slash.' });
  }
  return prefix;
}

const parameterNames = ['endpoint', 'region', 'path-style', 'encryption', 'kms-key', 'storage-class', 'tag-data'];

function s3Parameters(parameters: URLSearchParams): Omit<S3Location, 'kind' | 'bucket' | 'prefix'> {
  for (const name of parameters.keys()) {
    if (!parameterNames.includes(name) || parameters.getAll(name).length > 1) {
      throw new AppError('USAGE', `the S3 address has a parameter '${name}' that is unknown or given twice`, {
        hint: `Use these, each once: ${parameterNames.join(', ')}. Credentials come from the environment, not from the address.`,
      });
    }
  }
  const value = (name: string): string | undefined => parameters.get(name) ?? undefined;
  return {
    client: {
      endpoint: endpointOf(value('endpoint')),
      region: value('region'),
      usesPathStyle: flag('path-style', value('path-style')),
    },
    serverEncryption: encryptionOf(value('encryption'), value('kms-key')),
    bulkStorageClass: value('storage-class'),
    tagsBulkData: flag('tag-data', value('tag-data')),
  };
}

function endpointOf(text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  const url = URL.parse(text);
  if (url === null || !['http:', 'https:'].includes(url.protocol) || url.search !== '' || url.hash !== '') {
    throw new AppError('USAGE', 'the endpoint in the S3 address is not a URL of http or https', {
      hint: "Write '?endpoint=https://host:port'.",
    });
  }
  refuseCredentials(url, 'endpoint');
  return text;
}

function encryptionOf(algorithm: string | undefined, keyId: string | undefined): ServerEncryption | undefined {
  if (algorithm === 'aws:kms' || (algorithm === undefined && keyId !== undefined))
    return { algorithm: 'aws:kms', keyId };
  if (algorithm === undefined) return undefined;
  if (algorithm === 'AES256' && keyId === undefined) return { algorithm };
  throw new AppError('USAGE', "'encryption' in the S3 address fits no known kind", {
    hint: "Write 'encryption=AES256', or 'encryption=aws:kms' with or without 'kms-key=…'.",
  });
}

function flag(name: string, text: string | undefined): boolean | undefined {
  if (text === undefined) return undefined;
  if (text === 'true' || text === 'false') return text === 'true';
  throw new AppError('USAGE', `'${name}' in the S3 address is neither true nor false`, {
    hint: `Write '${name}=true' or '${name}=false'.`,
  });
}

function parseUrl(address: string, scheme: string): URL {
  const url = URL.parse(address);
  if (url === null) throw new AppError('USAGE', `the '${scheme}:' address is not a valid URL`, { hint: forms });
  refuseCredentials(url, `'${scheme}:' address`);
  return url;
}

function refuseCredentials(url: URL, what: string): void {
  if (url.username === '' && url.password === '') return;
  throw new AppError('USAGE', `the ${what} holds a user name or a password`, {
    hint: 'Take it out and give the credentials by environment variables or a profile of the AWS settings.',
  });
}
