// What may be told of a configuration file without telling what is secret in it.
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { parseEnv } from 'node:util';
import { parseDocument, type Document } from 'yaml';
import { AppError, errnoOf } from '../../base/errors.ts';
import type { JsonObject } from '../../base/json.ts';
import type { ConfigFile } from './config-files.ts';

/** Files are small; one beyond this is backed up but not looked into. */
const lookedIntoBytesMax = 4 * 1024 * 1024;

export interface FileFacts {
  readonly facts: JsonObject;
  /** What could not be made out, never with a piece of the content. */
  readonly problem?: string | undefined;
}

export async function readFileFacts(file: ConfigFile, signal: AbortSignal): Promise<FileFacts> {
  try {
    const { size } = await stat(file.path);
    const common = { path: file.path, kind: file.kind, sizeBytes: size };
    // The hash of an env file would let anyone who sees the facts try passwords against it.
    if (file.kind !== 'env') Object.assign(common, { sha256: await sha256Of(file.path, signal) });
    if (file.kind === 'plain' || size > lookedIntoBytesMax) return { facts: common };
    const text = await readFile(file.path, { encoding: 'utf8', signal });
    if (file.kind === 'env') return { facts: { ...common, ...variableNames(text) } };
    const images = composeImages(text);
    if (images === undefined) return { facts: common, problem: 'is no valid compose file' };
    return { facts: { ...common, images } };
  } catch (error) {
    const code = errnoOf(error);
    if (code === undefined || code === 'ABORT_ERR') throw error;
    throw new AppError('SOURCE_DENIED', `${file.path} can't be read: ${code}`, {
      hint: 'Grant the user of this program the right to read it.',
      cause: error,
    });
  }
}

async function sha256Of(path: string, signal: AbortSignal): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path, { signal })) hash.update(chunk as Buffer);
  return hash.digest('hex');
}

const conventionalName = /^[A-Z_][A-Z0-9_]{0,63}$/;

/**
 * Names only, and only such as look like names: in a malformed file a piece of a key (`MIIEpAIB…==`) stands where a
 * name would, so what is not all capitals is merely counted.
 */
export function variableNames(text: string): { readonly variables: string[]; readonly otherVariables: number } {
  const names = Object.keys(parseEnv(text));
  const variables = names.filter((name) => conventionalName.test(name)).toSorted();
  return { variables, otherVariables: names.length - variables.length };
}

/** Image by service; services that are built have none. Undefined if it is no compose file. */
export function composeImages(text: string): Record<string, string> | undefined {
  // Pretty errors and warnings would quote the content, which may hold passwords.
  const document = parseDocument(text, { prettyErrors: false, logLevel: 'silent', merge: true });
  if (document.errors.length > 0) return undefined;
  const services = fieldOf(plainValue(document), 'services');
  if (!isObject(services)) return undefined;
  const images: Record<string, string> = {};
  for (const [name, service] of Object.entries(services)) {
    const image = fieldOf(service, 'image');
    if (typeof image === 'string') images[name] = image;
  }
  return images;
}

/** With anchors and merges resolved; undefined where they can't be, or would grow without bound. */
function plainValue(document: Document): unknown {
  try {
    return document.toJS();
  } catch (error) {
    if (error instanceof ReferenceError) return undefined;
    throw error;
  }
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function fieldOf(value: unknown, name: string): unknown {
  return isObject(value) ? (value as Record<string, unknown>)[name] : undefined;
}
