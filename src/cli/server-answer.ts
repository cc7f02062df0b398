// `db`, `db:5433` or a connection URL, as people name a server to `init`: taken apart into the keys of lifeboat.yaml.
// A password in it is never written down: the file is for everyone, so it refers to the usual variable.
import { AppError } from '../base/errors.ts';
import type { InitServer } from './first-configuration.ts';

type ServerType = InitServer['type'];

const schemes = { postgres: /^postgres(?:ql)?:$/, redis: /^rediss?:$/ } as const;
const names = { postgres: 'database', redis: 'cache' } as const;
const passwordVariables = { postgres: 'POSTGRES_PASSWORD', redis: 'REDIS_PASSWORD' } as const;

/** Rejects with `USAGE` what is neither; the answer is not repeated, it may hold a password. */
export function serverOfAnswer(type: ServerType, answer: string): InitServer {
  const wrong = wrongServer(type, answer);
  if (wrong !== undefined)
    throw new AppError('USAGE', `the ${type} server is not ${expected(type)} (not shown)`, wrong);
  const known = { name: names[type], type } as const;
  if (answer.includes('://')) return { ...known, ...connectionOfUrl(type, new URL(answer)) };
  const { host, port } = /^(?<host>\[[^\]]+\]|[^:]+):(?<port>\d+)$/.exec(answer)?.groups ?? {};
  if (host === undefined) return { ...known, host: answer };
  return { ...known, host: withoutBrackets(host), port: Number(port) };
}

/** What to do about an answer that `serverOfAnswer` rejects. */
export function wrongServer(type: ServerType, answer: string): { readonly hint: string } | undefined {
  const hint = `Write ${expected(type)}.`;
  if (!answer.includes('://')) return /[\s/@]/.test(answer) && !answer.startsWith('/') ? { hint } : undefined;
  const url = URL.parse(answer);
  return url !== null && schemes[type].test(url.protocol) && url.hostname !== '' ? undefined : { hint };
}

const expected = (type: ServerType): string => `a host, host:port or ${type}://user@host:port`;

function connectionOfUrl(type: ServerType, url: URL): Omit<InitServer, 'name' | 'type'> {
  const hasPassword = url.password !== '' || url.searchParams.has('password');
  const passwordVariable = hasPassword ? passwordVariables[type] : undefined;
  for (const secret of ['password', 'sslpassword']) url.searchParams.delete(secret);
  const host = withoutBrackets(url.hostname);
  // Encryption and parameters have no other place than a URL.
  if (url.protocol === 'rediss:' || url.search !== '') {
    url.password = '';
    return { host, url: url.href, passwordVariable };
  }
  const database = decodeURIComponent(url.pathname.slice(1));
  return {
    host,
    port: url.port === '' ? undefined : Number(url.port),
    user: url.username === '' ? undefined : decodeURIComponent(url.username),
    database: type === 'redis' || database === '' ? undefined : database,
    passwordVariable,
  };
}

function withoutBrackets(host: string): string {
  return host.replace(/^\[(.*)\]$/, '$1');
}
