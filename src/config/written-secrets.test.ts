// Secrets that stand in a file are found; references to them are none.
import { expect, test } from 'vitest';
import { writtenSecretsOf } from './written-secrets.ts';

const writtenSecrets = (file: string): string[] => writtenSecretsOf(file).map(({ place }) => place);

const text = `
application: shop
components:
  database: { type: postgres, url: 'postgres://shop:hunter2@db/shop' }
  other: { type: postgres, host: db, user: shop, password: '\${POSTGRES_PASSWORD}' }
  third: { type: postgres, url: 'postgres://shop:\${POSTGRES_PASSWORD}@db/shop' }
  cache: { type: redis, host: cache, password: 12345 }
repositories:
  local: { location: /srv/backups, password: 'as it is' }
  offsite: { location: 's3://bucket/shop', password: '\${PASSWORD:-fallback}' }
  safe: { location: /srv/safe, password: '\${file:/run/secrets/lifeboat}' }
  escaped: { location: /srv/escaped, password: '$\${no reference}' }
  open: { location: /srv/open, passwordFile: /run/secrets/open }
`;

test('what is written as it is counts, also in an address and as a fallback', () => {
  expect(writtenSecrets(text)).toEqual([
    'components.database.url',
    'components.cache.password',
    'repositories.local.password',
    'repositories.offsite.password',
    'repositories.escaped.password',
  ]);
});

test('what is no configuration has none', () => {
  for (const nothing of ['', 'application', '- 1', 'a: [', '{'.repeat(1000)])
    expect(writtenSecrets(nothing)).toEqual([]);
});

const application = (components: string): string =>
  `application: shop\ncomponents: { database: { type: postgres, ${components} } }\n`;

test('a reference elsewhere in an address does not hide a secret in it', () => {
  for (const url of [
    'postgres://shop:hunter2@${DB_HOST}/shop',
    'postgres://${DB_USER}:hunter2@db/shop',
    'postgres://shop:${PASSWORD:-hunter2}@db/shop',
  ])
    expect(writtenSecrets(application(`url: '${url}'`))).toEqual(['components.database.url']);
  for (const url of ['postgres://shop:${PASSWORD}@${DB_HOST}/shop', '${URL}', 'postgres://${CREDENTIALS}@db/shop'])
    expect(writtenSecrets(application(`url: '${url}'`))).toEqual([]);
  const channel = (url: string): string => `alerts: { channels: { chat: { type: slack, url: '${url}' } } }`;
  expect(writtenSecrets(channel('https://${HOST}/services/T/hunter2'))).toEqual(['alerts.channels.chat.url']);
  expect(writtenSecrets(channel('https://chat.example/services/${TOKEN}'))).toEqual([]);
});

test('a parameter is a secret where it is filled into one', () => {
  const template = `${application("host: '${HOST}', password: '${PASSWORD}'")}parameters: { HOST: db, PASSWORD: '\${KEY}' }\n`;
  const of = (parameters: string, lower = template) => writtenSecretsOf(`parameters: { ${parameters} }`, lower);
  const found = [{ of: 'template', place: 'components.database.password (by a parameter)' }];
  expect(of('HOST: elsewhere')).toEqual([]);
  expect(of("PASSWORD: '${OTHER}'")).toEqual([]);
  expect(of('PASSWORD: hunter2')).toEqual(found);
  expect(of('KEY: 0815')).toEqual(found);
  const own = template.replace("'${KEY}'", 'hunter2');
  expect(of('HOST: db', own)).toEqual(found);
  // It is in the text all the same.
  expect(of("PASSWORD: '${OTHER}'", own)).toEqual(found);
  const below = writtenSecretsOf(application("password: '${PASSWORD}'"), 'parameters: { PASSWORD: hunter2 }');
  expect(below).toEqual([{ ...found[0], of: 'file' }]);
});

test('what reads as a secret in a command line or an address is one, and a header that says nothing is none', () => {
  const steps = `warmUp:
  plain: { type: http, url: 'https://shop.example/warm?full=1', headers: { Content-Type: application/json, X-Key: '\${KEY}' } }
  asked: { type: http, url: 'https://shop.example/warm?token=hunter2' }
  filled: { type: http, url: 'https://shop.example/warm?token=\${TOKEN}' }
  named: { type: http, url: 'https://hunter2@shop.example/warm' }
  headed: { type: http, url: 'https://shop.example', headers: { X-Key: hunter2 } }
  program: { type: script, run: [fill, --password=hunter2, '--token=\${TOKEN}'] }
  bearer: { type: script, run: [curl, -H, 'Authorization: Bearer hunter2'] }
  other: { type: script, run: [curl, -H, 'Authorization: Bearer \${TOKEN}'] }
components: { db: { type: postgres, checks: [{ sql: "select count(*) from users where token = 'x'" }] } }
`;
  expect(writtenSecrets(steps)).toEqual([
    'warmUp.asked.url',
    'warmUp.named.url',
    'warmUp.headed.headers.X-Key',
    'warmUp.program.run.1',
    'warmUp.bearer.run.2',
  ]);
});

test('as many aliases as a configuration may have are followed', () => {
  const channels = Array.from({ length: 200 }, (_, at) => `    c${at}: *one`).join('\n');
  const aliased = `repositories: { local: { location: &one [[hunter2], [hunter2]] } }\nalerts:\n  channels:\n${channels}\n`;
  expect(writtenSecrets(aliased)).toEqual([]);
});
