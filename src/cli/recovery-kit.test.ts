import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Decrypter, armor, generateIdentity, identityToRecipient } from 'age-encryption';
import { expect, test } from 'vitest';
import { temporaryFolder } from '../../test/support/temporary-folder.ts';
import { describeWith, findTool } from '../../test/support/tools.ts';
import { repositorySchema } from '../model/repository-settings.ts';
import { createMasterKey } from '../repository/key-file.ts';
import { kitText, openKit, type KitRepository } from './recovery-kit.ts';

function repositoryAt(name: string, location: string, s3: object = {}): KitRepository {
  const isS3 = location.startsWith('s3:');
  const settings = { ...repositorySchema.parse({ location, ...(isS3 && { s3 }) }), name, location };
  return { settings, id: name.charCodeAt(0).toString(16).padStart(64, '0'), keys: createMasterKey() };
}

const local = repositoryAt('local', "/srv/it's here");
const offsite = repositoryAt('offsite', 's3://bucket/shop', {
  endpoint: 'https://user:hunter2@store.example',
  region: 'eu-1',
  accessKeyId: 'AKIAPLANTED',
  secretAccessKey: 'planted-secret',
});

async function kitFor(...recipients: string[]): Promise<string> {
  return kitOf([local, offsite], recipients);
}

async function kitOf(repositories: readonly KitRepository[], recipients: readonly string[]): Promise<string> {
  const facts = { application: 'shop', version: '1.2.3', runtime: 'v26.0.0', madeAtMs: 0 };
  return kitText({ ...facts, repositories, recipients });
}

test('a kit gives back the keys of its repositories to each recipient, also after it was printed, and to nobody else', async () => {
  const [one, two, stranger] = [await generateIdentity(), await generateIdentity(), await generateIdentity()];
  const kit = await kitFor(await identityToRecipient(one), await identityToRecipient(two));
  const printed = kit
    .split('\n')
    .map((line) => `   ${line}  `)
    .join('\r\n');
  for (const [text, identity] of [
    [kit, one],
    [kit, `# created: today\n${two}\n`],
    [printed, two],
  ] as const) {
    expect(await openKit(text, identity)).toEqual(
      new Map([
        [local.id, local.keys],
        [offsite.id, offsite.keys],
      ]),
    );
  }
  const wrong: readonly (readonly [string, string])[] = [
    [kit, stranger],
    [kit, 'no identity'],
    [kit.slice(0, -40), one],
    [kit.replace(/(?<=\n)[A-Za-z0-9+/]{64}(?=\n)/, (line) => line.toLowerCase()), one],
  ];
  for (const [text, identity] of wrong) {
    await expect(openKit(text, identity)).rejects.toMatchObject({ code: 'KIT_INVALID' });
  }
});

test('the sheet fits a page, and says addresses and commands, but no credential and no key', async () => {
  const recipient = await identityToRecipient(await generateIdentity());
  const kit = await kitFor(recipient);
  const lines = kit.split('\n');
  expect(lines.filter((line) => line.length > 80)).toEqual([]);
  expect(lines.length).toBeLessThan(66);
  for (const part of [
    's3://bucket/shop',
    'AWS_ENDPOINT_URL_S3=https://store.example/',
    'AWS_REGION=eu-1',
    recipient,
    '1.2.3',
  ])
    expect(kit).toContain(part);
  const secrets = [
    'hunter2',
    'AKIAPLANTED',
    'planted-secret',
    ...[local, offsite].map(({ keys }) => keys.encrypt.toString('base64')),
  ];
  for (const secret of secrets) expect(kit).not.toContain(secret);
});

test('the commands are for the repository that outlives most of what can happen to the machine, with what its store needs', async () => {
  const recipient = await identityToRecipient(await generateIdentity());
  const kit = await kitFor(recipient);
  expect(kit.match(/--repository .*/g)).toEqual(['--repository s3://bucket/shop', '--repository s3://bucket/shop']);
  expect(kit).toContain('  - export AWS_ENDPOINT_URL_S3=https://store.example/\n  - export AWS_REGION=eu-1\n');
  expect(kit).not.toContain('outlives the machine');

  const surviving = (given: KitRepository, survives: ('host' | 'site' | 'ransomware')[]): KitRepository => ({
    ...given,
    settings: { ...given.settings, survives },
  });
  const locked = surviving(repositoryAt('locked', 's3://locked/shop'), ['host', 'site', 'ransomware']);
  const all = [surviving(local, ['ransomware']), offsite, locked];
  expect(await kitOf(all, [recipient])).toContain('--repository s3://locked/shop');
  expect(await kitOf(all.slice(0, 2), [recipient])).toContain('--repository s3://bucket/shop');

  const alone = await kitOf([local], [recipient]);
  expect(alone).toContain(`--repository '/srv/it'\\''s here'`);
  expect(alone).toContain('No repository of the list outlives the machine');
});

test('an identity in place of a recipient is refused, and not repeated', async () => {
  const identity = await generateIdentity();
  const error: Error = await kitFor(identity).then(
    () => expect.fail('it was taken'),
    (reason: Error) => reason,
  );
  expect(error).toMatchObject({ code: 'SECRET_IN_ARGUMENT' });
  expect(error.message).not.toContain(identity);
  await expect(kitFor('age1nonsense')).rejects.toMatchObject({ code: 'USAGE' });
});

describeWith(['age'], 'the program age', () => {
  test('opens what is sealed in a kit as the library does', async () => {
    await using folder = await temporaryFolder();
    const identity = await generateIdentity();
    const kit = await kitFor(await identityToRecipient(identity));
    const sealed = kit.slice(kit.indexOf('-----BEGIN'));
    writeFileSync(join(folder.path, 'identity.txt'), `${identity}\n`);
    const opened = execFileSync(findTool('age') ?? '', ['-d', '-i', join(folder.path, 'identity.txt')], {
      input: sealed,
      encoding: 'utf8',
    });
    const decrypter = new Decrypter();
    decrypter.addIdentity(identity);
    expect(opened).toBe(await decrypter.decrypt(armor.decode(sealed.trim()), 'text'));
    expect(JSON.parse(opened)).toMatchObject({
      format: 'lifeboat recovery kit 1',
      keys: { [local.id]: expect.any(String) as string },
    });
  });
});

test('an archive is listed with its months, and the commands are for a repository that holds the state, if it is not lost', async () => {
  const recipient = await identityToRecipient(await generateIdentity());
  const monthly = repositoryAt('archive', 's3://bucket/archive');
  const archive = { ...monthly, settings: { ...monthly.settings, archive: 'monthly' as const } };
  const kit = await kitOf([archive, offsite], [recipient]);
  expect(kit).toContain('for each month one, such as s3://bucket/archive/1970-01');
  expect(kit).toContain('--repository s3://bucket/shop');
  expect(await kitOf([archive, local], [recipient])).toContain('--repository s3://bucket/archive/1970-01');
});
