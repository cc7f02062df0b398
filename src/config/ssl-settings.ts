// How a PostgreSQL component is reached by TLS, as libpq would understand its URL, its keys, the variables, and the files in the home
// folder, in this order.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { AppError } from '../base/errors.ts';
import type { Component } from '../model/component.ts';
import { variable, type Environment } from './environment.ts';

type PostgresComponent = Extract<Component, { type: 'postgres' }>;

/** Each is a parameter of a connection URL and a key of a component. */
export const sslKeys = ['sslmode', 'sslrootcert', 'sslcert', 'sslkey', 'sslpassword', 'sslnegotiation'] as const;

type SslKey = (typeof sslKeys)[number];

/** `sslpassword` has no variable of libpq. */
const variables: Readonly<Partial<Record<SslKey, string>>> = {
  sslmode: 'PGSSLMODE',
  sslrootcert: 'PGSSLROOTCERT',
  sslcert: 'PGSSLCERT',
  sslkey: 'PGSSLKEY',
  sslnegotiation: 'PGSSLNEGOTIATION',
};

export function sslOf(component: PostgresComponent, url: URL | undefined, environment: Environment) {
  const given = (key: SslKey): string | undefined => {
    const said = url?.searchParams.get(key) ?? component[key];
    const name = variables[key];
    return said ?? (name === undefined ? undefined : variable(environment, name));
  };
  const details = { ...negotiationOf(component, given), ...clientOf(given, environment) };
  const root = given('sslrootcert');
  const mode = given('sslmode') ?? (root === 'system' ? 'verify-full' : 'prefer');
  const rootDefault = inHome(environment, 'root.crt');
  if (root === 'system' && mode !== 'verify-full') {
    throw new AppError(
      'CONFIG_INVALID',
      `sslrootcert of component ${component.name} is system, but sslmode is ${mode}`,
      {
        hint: 'Set sslmode to verify-full, or leave it out: others could get a certificate, too.',
      },
    );
  }
  switch (mode) {
    case 'disable':
    case 'prefer':
      return { mode, ...details } as const;
    case 'allow':
      return { mode: 'prefer', ...details } as const;
    case 'require': {
      // As libpq has it: who has a root certificate wants it to be checked.
      const known = root ?? (existsSync(rootDefault) ? rootDefault : undefined);
      if (known === undefined) return { mode, ...details } as const;
      return { mode: 'verify-ca', rootCertificateFile: known, ...details } as const;
    }
    case 'verify-ca':
    case 'verify-full':
      return { mode, rootCertificateFile: root ?? rootDefault, ...details } as const;
    default:
      throw unknown(component, 'sslmode', mode);
  }
}

function unknown({ name }: PostgresComponent, key: 'sslmode' | 'sslnegotiation', value: string): AppError {
  return new AppError('CONFIG_INVALID', `component ${name} has the unknown ${key} '${value}'`, {
    hint: key === 'sslmode' ? 'Use disable, prefer, require, verify-ca or verify-full.' : 'Use postgres or direct.',
  });
}

function negotiationOf(component: PostgresComponent, given: (key: SslKey) => string | undefined) {
  const negotiation = given('sslnegotiation');
  if (negotiation === undefined) return {};
  if (negotiation === 'postgres' || negotiation === 'direct') return { negotiation } as const;
  throw unknown(component, 'sslnegotiation', negotiation);
}

/** The files that libpq would look for count only if they are there; those that are named must be. */
function clientOf(given: (key: SslKey) => string | undefined, environment: Environment) {
  const named = given('sslcert');
  const certificateFile = named ?? inHome(environment, 'postgresql.crt');
  if (named === undefined && !existsSync(certificateFile)) return {};
  const keyFile = given('sslkey') ?? inHome(environment, 'postgresql.key');
  return { client: { certificateFile, keyFile, keyPassword: given('sslpassword') } };
}

function inHome({ homeFolder }: Environment, name: string): string {
  return join(homeFolder, '.postgresql', name);
}
