// The repository's `config`: version, id, chunker parameters. Sealed, never compressed, without a form byte.
import { hkdfSync, randomBytes } from 'node:crypto';
import { z } from 'zod';
import { AppError } from '../base/errors.ts';
import type { ChunkerName, ChunkerParameters } from './create-chunker.ts';
import { isIrreducible, randomPolynomial } from './polynomial.ts';
import { open, seal, type KeyTriple } from './seal.ts';

export interface RepositoryConfig {
  /** 32 random bytes as hex; names the cache folder. */
  readonly id: string;
  readonly chunker: ChunkerParameters;
  /** For components without an earlier snapshot. Repositories that restic made keep restic's. */
  readonly chunkerDefault: ChunkerName;
}

const configSchema = z.object({
  version: z.int(),
  id: z.string().regex(/^[0-9a-f]{64}$/),
  chunker_polynomial: z.string().regex(/^[0-9a-f]{14}$/),
  /** Ours; restic ignores fields it does not know. */
  lifeboat: z.object({ gear_secret: z.base64(), chunker: z.enum(['gear', 'rabin']).default('gear') }).optional(),
});

export interface NewConfig {
  readonly chunkerDefault: ChunkerName;
  /** Parameters of another repository, so that both cut alike and `copy` transfers no byte twice. */
  readonly chunker?: ChunkerParameters | undefined;
}

export function createConfig(options: NewConfig): RepositoryConfig {
  return {
    id: randomBytes(32).toString('hex'),
    chunker: options.chunker ?? { polynomial: randomPolynomial(), gearSecret: randomBytes(32) },
    chunkerDefault: options.chunkerDefault,
  };
}

export function encodeConfig(keys: KeyTriple, config: RepositoryConfig): Buffer {
  const json = JSON.stringify({
    version: 2,
    id: config.id,
    chunker_polynomial: config.chunker.polynomial,
    lifeboat: {
      gear_secret: Buffer.from(config.chunker.gearSecret).toString('base64'),
      chunker: config.chunkerDefault,
    },
  });
  return seal(keys, Buffer.from(json));
}

/** Throws `SealBroken`, a parse error, or `REPOSITORY_UNSUPPORTED`. */
export function decodeConfig(keys: KeyTriple, sealed: Uint8Array): RepositoryConfig {
  const json: unknown = JSON.parse(open(keys, sealed).toString('utf8'));
  const version = typeof json === 'object' && json !== null && 'version' in json ? json.version : undefined;
  if (version !== 2) {
    throw new AppError(
      'REPOSITORY_UNSUPPORTED',
      `the repository has version ${String(version)}, this program knows version 2`,
      {
        hint: version === 1 ? "Run 'restic migrate upgrade_repo_v2' first." : 'Update Lifeboat.',
      },
    );
  }
  const config = configSchema.parse(json);
  if (!isIrreducible(BigInt(`0x${config.chunker_polynomial}`)))
    throw new Error('the chunker polynomial is not irreducible');
  const gearSecret =
    config.lifeboat === undefined
      ? Buffer.from(hkdfSync('sha256', keys.encrypt, '', 'lifeboat gear chunker', 32))
      : Buffer.from(config.lifeboat.gear_secret, 'base64');
  return {
    id: config.id,
    chunker: { polynomial: config.chunker_polynomial, gearSecret },
    chunkerDefault: config.lifeboat?.chunker ?? 'rabin',
  };
}
