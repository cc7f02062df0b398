// Secrets that stand in a file are found; references to them are none.
import { expect, test } from 'vitest';
import { writtenSecrets } from './written-secrets.ts';

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
