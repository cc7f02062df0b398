// What a server of an earlier commit protected and left behind when it was killed: as scripts/record-earlier-server.ts records it.
import { fileURLToPath } from 'node:url';
import { testPassword } from './repository.ts';

export const earlierServersFolder = fileURLToPath(new URL('../fixtures/earlier-servers', import.meta.url));

/** In words that all of them knew. */
export const earlierShop = {
  password: testPassword,
  /** Its name. */
  token: 'monitor',
  files: { greeting: 'ahoy\n', numbers: Array.from({ length: 500 }, (_, at) => `${at * at}\n`).join('') },
  configuration: `application: shop
repositories:
  local: { location: ./local }
  offsite: { location: ./offsite }
policies:
  often:
    schedule: { every: 2s }
    repositories: [local]
    copy: { to: offsite }
    proof: { schedule: { every: 3s } }
    verification: { level: structure, schedule: { every: 5s } }
components:
  uploads: { type: files, paths: [./data], policy: often, objectives: { rpo: 1h } }
`,
};
