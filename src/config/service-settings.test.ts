// How people reach the API, as lifeboat.yaml says it.
import { expect, test } from 'vitest';
import { messageOf } from '../base/errors.ts';
import { parseConfiguration, type Configuration } from './load.ts';

function parse(api: string, variables: Record<string, string> = {}): Configuration {
  const text = `application: shop
repositories: { local: { location: /srv/backup } }
components: { data: { type: files, paths: [/srv/data] } }
service: { api: ${api} }
`;
  const environment = { variables, workingFolder: '/srv', homeFolder: '/root' };
  return parseConfiguration(text, { path: '/srv/lifeboat.yaml', environment });
}

const openid = 'openid: { issuer: "https://id.example.com", clientId: lifeboat, clientSecret: "${SECRET}" }';

test('a provider whose secret is not set is left out and told, and nothing else is', () => {
  const left = parse(`{ publicUrl: "https://backup.example.com", ${openid} }`);
  expect(left.api).toEqual({ publicUrl: 'https://backup.example.com', trustedProxies: [] });
  expect([...left.unset.keys()]).toEqual(['service.api.openid']);
  const unnamed = parse(`{ publicUrl: "\${PUBLIC_URL}", ${openid} }`, { SECRET: 'planted' });
  expect([unnamed.api, [...unnamed.unset.keys()]]).toEqual([{ trustedProxies: [] }, ['service.api.publicUrl']]);
  const whole = parse(`{ publicUrl: "https://backup.example.com", ${openid} }`, { SECRET: 'planted' });
  expect(whole.api.openid).toEqual({ issuer: 'https://id.example.com', clientId: 'lifeboat', clientSecret: 'planted' });
});

test.each([
  [`{ ${openid} }`, 'expected publicUrl beside openid'],
  ['{ publicUrl: "https://backup.example.com/lifeboat" }', 'expected a URL without a path'],
  ['{ publicUrl: backup.example.com }', 'expected a URL with http or https'],
  ['{ trustedProxies: [proxy.example.com] }', 'an address or a network'],
])('%s: %s', (api, problem) => {
  let message = 'none';
  try {
    parse(api, { SECRET: 'planted-secret' });
  } catch (error) {
    message = messageOf(error);
  }
  expect(message).toContain(problem);
  expect(message).not.toContain('planted-secret');
});
