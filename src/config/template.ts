// The first lifeboat.yaml of an application: commented, and valid as it stands. Pure; `lifeboat init` asks and writes.
import { stringify } from 'yaml';
import type { InitComponent, InitServer } from '../cli/first-configuration.ts';

export interface TemplateAnswers {
  readonly application: string;
  readonly environment: string;
  /** Path or URL of lifeboat.schema.json, for editors. */
  readonly schemaLocation: string;
  readonly repositories: readonly TemplateRepository[];
  readonly components: readonly InitComponent[];
  /** Cron text of the nightly backup, and its zone; the machine's zone if absent. */
  readonly cron: string;
  readonly timeZone: string | undefined;
}

export interface TemplateRepository {
  readonly name: string;
  readonly location: string;
  /** The password comes from LIFEBOAT_PASSWORD if absent. Never the password itself: the file is for everyone. */
  readonly passwordFile: string | undefined;
}

/** The text of the file. Values are quoted where YAML needs it, so that any answer stays one value. */
export function configurationTemplate(answers: TemplateAnswers): string {
  const { application, environment, schemaLocation, repositories, components } = answers;
  return [
    `# yaml-language-server: $schema=${schemaLocation.replaceAll(/\s+/g, '')}`,
    '# What this application consists of, and how it is protected. Every key: docs/reference/configuration.md.',
    '# Secrets stay outside: ${VARIABLE}, ${VARIABLE:-default} and ${file:/run/secrets/name} are filled in.',
    `application: ${scalar(application)}`,
    `environment: ${scalar(environment)}`,
    '',
    '# Places for backups. Two at least, one of them elsewhere, survive a fire.',
    section('repositories', repositories.map(repositoryLines)),
    '',
    'policies:',
    ...policyLines(answers),
    '',
    '# What is to be protected. Connection keys that are left out come from POSTGRES_HOST, REDIS_HOST and the like.',
    section('components', components.map(componentLines)),
    '',
  ].join('\n');
}

/** A value as YAML text on one line. */
function scalar(value: string): string {
  return stringify(value, { lineWidth: 0, defaultStringType: 'PLAIN', blockQuote: false }).trimEnd();
}

function quoted(value: string): string {
  return stringify(value, { lineWidth: 0, defaultStringType: 'QUOTE_SINGLE', blockQuote: false }).trimEnd();
}

function list(values: readonly string[]): string {
  return `[${values.map(quoted).join(', ')}]`;
}

function section(key: string, entries: readonly (readonly string[])[]): string {
  if (entries.length === 0) return `${key}: {}`;
  return [`${key}:`, ...entries.flat().map((line) => `  ${line}`)].join('\n');
}

function repositoryLines({ name, location, passwordFile }: TemplateRepository): string[] {
  return [
    `${scalar(name)}:`,
    `  location: ${scalar(location)}`,
    passwordFile === undefined
      ? '  # passwordFile: /run/secrets/lifeboat   # else LIFEBOAT_PASSWORD is used'
      : `  passwordFile: ${scalar(passwordFile)}`,
    ...(location.startsWith('s3://') ? ['  # s3: { region: eu-central-1, endpoint: https://store.example }'] : []),
  ];
}

function policyLines({ cron, timeZone, repositories }: TemplateAnswers): string[] {
  const zone = timeZone === undefined ? '' : `, timeZone: ${quoted(timeZone)}`;
  return [
    '  nightly:',
    `    schedule: { cron: ${quoted(cron)}${zone} } # or { every: 4h }`,
    `    repositories: ${list(repositories.map(({ name }) => name))}`,
    '    # Beside these, the newest backup that was really restored is never removed.',
    '    retention: { keepDaily: 7, keepWeekly: 4, keepMonthly: 12 }',
    '    # Is what is stored intact?',
    "    verification: { schedule: { cron: '0 4 * * 0' }, level: data, readDataShare: 10% }",
    '    # Does it really come back?',
    "    proof: { schedule: { cron: '0 5 1 * *' } }",
  ];
}

function componentLines(component: InitComponent): string[] {
  const tier = component.type === 'postgres' ? 'P0' : 'P1';
  const common = [
    `${scalar(component.name)}:`,
    `  type: ${component.type}`,
    `  tier: ${tier} # P0 is recovered first, P3 last`,
  ];
  const continuous =
    component.type === 'postgres' ? ['  # journal: {} # back to any instant: docs/postgresql-to-any-instant.md'] : [];
  // A night is 25 hours long once a year, and the backup takes its time.
  const end = ['  objectives: { rpo: 26h, rto: 1h } # what may be lost, and how long it may take', '  policy: nightly'];
  return [...common, ...ownLines(component), ...continuous, ...end];
}

function ownLines(component: InitComponent): string[] {
  if (component.type === 'files') return [`  paths: ${list(component.paths)}`, "  # excludes: ['*.tmp']"];
  if (component.type === 'config') return [`  files: ${list(component.files)}`, '  # compose: [docker-compose.yml]'];
  return connectionLines(component);
}

const checksExample = '  # checks: [{ sql: select count(*) from users, min: 1 }] # what restored data must satisfy';

/** What is not known stands as a comment; a secret stands as a reference to the variable that holds it. */
function connectionLines(server: InitServer): string[] {
  const { type, host, port, user, database, url, passwordVariable, urlVariable } = server;
  const checks = type === 'postgres' ? [checksExample] : [];
  if (urlVariable !== undefined) return [`  url: ${reference(urlVariable)}`, ...checks];
  if (host === undefined) return [`  # host: ${type} # with port, ${type === 'postgres' ? 'user, ' : ''}password`];
  const lines = [url === undefined ? `  host: ${scalar(host)}` : `  url: ${scalar(url)}`];
  if (port !== undefined) lines.push(`  port: ${port}`);
  if (user !== undefined) lines.push(`  ${type === 'postgres' ? 'user' : 'username'}: ${scalar(user)}`);
  else if (type === 'postgres' && url === undefined) lines.push('  # user: ${POSTGRES_USER}');
  const passwordLine = `password: ${reference(passwordVariable ?? `${type.toUpperCase()}_PASSWORD`)}`;
  lines.push(passwordVariable === undefined ? `  # ${passwordLine}` : `  ${passwordLine}`);
  if (database !== undefined) lines.push(`  databases: ${list([database])}`);
  return [...lines, ...checks];
}

const reference = (variable: string): string => `\${${variable}}`;
