// From a component's settings (a URL, or host, port and user) to what the sources of servers take. `unescape` takes a
// percent sign that encodes nothing for itself, where `decodeURIComponent` would throw.
import { tmpdir } from 'node:os';
import { unescape } from 'node:querystring';
import { AppError } from '../base/errors.ts';
import { defaultPhysicalSettings, type Component } from '../model/component.ts';
import { programFolders, type Environment } from './environment.ts';
import { sslOf } from './ssl-settings.ts';

type PostgresComponent = Extract<Component, { type: 'postgres' }>;
type RedisComponent = Extract<Component, { type: 'redis' }>;

const lockWaitMaxMs = 30_000;

export function postgresOptions(component: PostgresComponent, environment: Environment) {
  const url = serverUrl(component);
  const database = url === undefined ? '' : unescape(url.pathname.slice(1));
  return {
    ...addressOf(component, url),
    user: textOf(url?.username) ?? component.user ?? 'postgres',
    // Beside a url with a password stands one for whom a restore names: PGPASSWORD, in place of a secret in an argument.
    passwordOfOthers: component.password,
    ssl: sslOf(component, url, environment),
    databases: component.databases ?? (database === '' ? [] : [database]),
    lockWaitMaxMs,
    method: component.method,
    physical: component.physical ?? defaultPhysicalSettings,
    slot: component.journal?.slot ?? slotName(component.name),
    sentinel: component.sentinel,
    programFolders: programFolders(environment),
    sandboxFolder: tmpdir(),
  };
}

/** Slots belong to one server, which may serve several applications with components of one name: give `slot` then. */
function slotName(component: string): string {
  return `lifeboat_${component.toLowerCase().replaceAll(/[^a-z0-9]/g, '_')}`.slice(0, 63);
}

export function redisAddress(component: RedisComponent) {
  const url = serverUrl(component);
  if (url?.protocol === 'unix:') {
    const { username, password } = component;
    return { host: '', port: 0, socketPath: unescape(url.pathname), username, password };
  }
  const tls = url?.protocol === 'rediss:' ? {} : undefined;
  return { ...addressOf(component, url), username: textOf(url?.username) ?? component.username, tls };
}

const portsDefault = { postgres: 5432, redis: 6379 } as const;

function addressOf(component: PostgresComponent | RedisComponent, url: URL | undefined) {
  // A socket's folder can't stand where a host name stands, so it may come as a parameter.
  const hostOfUrl = url?.searchParams.get('host') ?? textOf(url?.hostname)?.replace(/^\[(.*)\]$/, '$1');
  const port = textOf(url?.port);
  return {
    host: hostOfUrl ?? component.host ?? 'localhost',
    port: port === undefined ? (component.port ?? portsDefault[component.type]) : Number(port),
    password: textOf(url?.password) ?? component.password,
  };
}

function textOf(part: string | undefined): string | undefined {
  return part === undefined || part === '' ? undefined : unescape(part);
}

function serverUrl({ name, url: text }: PostgresComponent | RedisComponent): URL | undefined {
  if (text === undefined) return undefined;
  const url = URL.parse(text);
  if (url !== null) return url;
  // Its password must not be repeated.
  throw new AppError('CONFIG_INVALID', `the url of component ${name} is not a valid URL (not shown)`, {
    hint: "Write it as 'scheme://user@host:port/database', with special characters percent-encoded.",
  });
}
