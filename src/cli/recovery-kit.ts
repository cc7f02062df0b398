// A recovery kit: a sheet to print, with the addresses of repositories, what to type on an empty machine, and the repositories' master keys,
// sealed for whoever has an age identity. https://age-encryption.org says how that is done; any program for it opens the seal.
import { z } from 'zod';
import { AppError, messageOf } from '../base/errors.ts';
import type { RepositorySettings } from '../model/repository-settings.ts';
import { monthAt, monthOf } from '../model/archive.ts';
import { outlives, scenarios } from '../model/scenario.ts';
import { masterKeyText, parseMasterKey } from '../repository/master-key.ts';
import type { KeyTriple } from '../repository/seal.ts';
import { encrypterFor } from './age-seal.ts';
import { factLines, plainStyle, wrap } from './style.ts';

export interface KitRepository {
  readonly settings: RepositorySettings;
  readonly id: string;
  readonly keys: KeyTriple;
}

export interface KitFacts {
  readonly application: string | undefined;
  readonly repositories: readonly KitRepository[];
  readonly recipients: readonly string[];
  readonly version: string;
  /** Of Node. */
  readonly runtime: string;
  readonly madeAtMs: number;
}

const format = 'lifeboat recovery kit 1';

const sealedSchema = z.object({
  format: z.literal(format),
  /** Master key by the id of its repository. */
  keys: z.record(z.string().regex(/^[0-9a-f]{64}$/), z.string()),
});

/** Rejects as `encrypterFor`. */
export async function kitText(facts: KitFacts): Promise<string> {
  const { repositories, recipients } = facts;
  const { armor } = await import('age-encryption');
  const encrypter = await encrypterFor(recipients);
  const keys = Object.fromEntries(repositories.map(({ id, keys: own }) => [id, masterKeyText(own)]));
  const sealed = armor.encode(await encrypter.encrypt(JSON.stringify({ format, keys })));
  return `${sheetLines(facts).join('\n')}\n\n${sealed.trim()}\n`;
}

const sheetWidth = 78;

function sheetLines({ application, repositories, recipients, version, runtime, madeAtMs }: KitFacts): string[] {
  const date = new Date(madeAtMs).toISOString().slice(0, 10);
  const most = mostLasting(repositories.map(({ settings }) => settings));
  const first = most?.archive === undefined ? most : monthOf(most, monthAt(madeAtMs));
  const place = first === undefined ? '' : quoted(first.location);
  const title = `Lifeboat recovery kit${application === undefined ? '' : ` of ${application}`}, ${date}`;
  const text = (words: string): string[] => wrap(words, sheetWidth);
  return [
    title,
    '='.repeat(title.length),
    '',
    ...text(
      'With this sheet, the credentials of the store, and the age identity of one of these recipients, backups can be opened after every password was lost:',
    ),
    ...recipients.map((recipient) => `  ${recipient}`),
    '',
    ...text(
      'The sheet alone opens nothing. Sheet and identity together open everything, for as long as the repository is used: other passwords do not change its key. Keep the two in different places.',
    ),
    '',
    'Repositories',
    ...repositories.flatMap(({ settings, id }) => [
      `  ${settings.name}: ${settings.location}`,
      `    id ${id.slice(0, 16)}`,
      ...(settings.archive === undefined ? [] : [`    for each month one, such as ${monthPlace(settings, madeAtMs)}`]),
      ...storeVariables(settings).map((variable) => `    ${variable}`),
    ]),
    '',
    'On an empty machine',
    ...factLines(`install Node 26 or later and Lifeboat ${version} or later`, plainStyle(), '  - '),
    '  - save this sheet as kit.txt, from its first to its last line, and the',
    '    identity (a line that begins with AGE-SECRET-KEY-) as identity.txt',
    ...(first?.location.startsWith('s3:') === true
      ? ['  - export AWS_ACCESS_KEY_ID=... AWS_SECRET_ACCESS_KEY=...']
      : []),
    ...(first === undefined ? [] : storeVariables(first).map((variable) => `  - export ${quoted(variable)}`)),
    '  - write a new password into the file password, then:',
    '',
    '  lifeboat repository keys add --kit kit.txt --identity identity.txt \\',
    '    --new-password-file password \\',
    `    --repository ${place}`,
    '  lifeboat service recover --password-file password \\',
    `    --repository ${place}`,
    '  lifeboat server',
    '',
    ...(repositories.length > 1 ? ['(or another repository of the list in its place, with its variables)', ''] : []),
    ...(first === undefined || outlives(first, 'host')
      ? []
      : [...text('No repository of the list outlives the machine it is on: copy one elsewhere.'), '']),
    'Without Lifeboat, after the first of these, restic 0.14 or later reads it all:',
    '  restic --password-file password snapshots \\',
    `    --repo ${resticPlace(first)}`,
    '',
    `Made by Lifeboat ${version} on Node ${runtime}; repositories in restic's format 2.`,
    'Below: the master keys, sealed with age (https://age-encryption.org).',
  ];
}

const monthPlace = (settings: RepositorySettings, atMs: number): string => monthOf(settings, monthAt(atMs)).location;

/** The machine at hand is empty because the other one is lost: what went with it is no help; of an archive, which holds no state, a month is better than that. */
function mostLasting(repositories: readonly RepositorySettings[]): RepositorySettings | undefined {
  const rank = (one: RepositorySettings): number =>
    (outlives(one, 'host') ? 2 * scenarios.length : 0) +
    (one.archive === undefined ? scenarios.length : 0) +
    scenarios.filter((scenario) => outlives(one, scenario)).length;
  return repositories.toSorted((left, right) => rank(right) - rank(left))[0];
}

/** What an address alone does not say; never a credential. */
function storeVariables({ s3 }: RepositorySettings): string[] {
  if (s3 === undefined) return [];
  const { endpoint, region } = s3;
  return [
    ...(endpoint === undefined ? [] : [`AWS_ENDPOINT_URL_S3=${withoutCredentials(endpoint)}`]),
    ...(region === undefined ? [] : [`AWS_REGION=${region}`]),
  ];
}

function withoutCredentials(address: string): string {
  const url = new URL(address);
  url.username = '';
  url.password = '';
  return url.href;
}

const quoted = (text: string): string => (/^[\w./:@%+=-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`);

function resticPlace(settings: RepositorySettings | undefined): string {
  const { location = '', s3 } = settings ?? {};
  if (!location.startsWith('s3://')) return quoted(location);
  const endpoint = s3?.endpoint === undefined ? 'https://s3.amazonaws.com' : withoutCredentials(s3.endpoint);
  return quoted(`s3:${endpoint.replace(/\/$/, '')}/${location.slice('s3://'.length)}`);
}

const block = /-----BEGIN AGE ENCRYPTED FILE-----[\s\S]+?-----END AGE ENCRYPTED FILE-----/;
const identityForm = /^AGE-SECRET-KEY-[0-9A-Z-]+$/;

/** Master keys by the id of their repository. Rejects with `KIT_INVALID`. */
export async function openKit(kit: string, identityFile: string): Promise<ReadonlyMap<string, KeyTriple>> {
  // What was printed and read in again may be indented, and have lines of Windows.
  const sealed = block
    .exec(kit)?.[0]
    .split('\n')
    .map((line) => line.trim())
    .join('\n');
  if (sealed === undefined) throw invalidKit('it holds no part that age sealed', 'Save the whole sheet as the file.');
  const identities = identityFile
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => identityForm.test(line));
  if (identities.length === 0) {
    throw new AppError('KIT_INVALID', 'the identity file holds no age identity', {
      hint: 'Give the file that age-keygen wrote, with a line that begins with AGE-SECRET-KEY-; decrypt it first if it is sealed itself.',
    });
  }
  const text = await unsealed(sealed, identities);
  try {
    const { keys } = sealedSchema.parse(JSON.parse(text));
    return new Map(Object.entries(keys).flatMap(([id, own]) => [[id, parseMasterKey(own)] as const].filter(isKey)));
  } catch {
    // What it says is secret, so nothing of it may stand in an error.
    throw invalidKit(
      'what is sealed in it is no kit of this version',
      'Use the Lifeboat that the sheet names, or a later one.',
    );
  }
}

function isKey(entry: readonly [string, KeyTriple | undefined]): entry is readonly [string, KeyTriple] {
  return entry[1] !== undefined;
}

async function unsealed(sealed: string, identities: readonly string[]): Promise<string> {
  const { Decrypter, armor } = await import('age-encryption');
  try {
    const decrypter = new Decrypter();
    for (const identity of identities) decrypter.addIdentity(identity);
    return await decrypter.decrypt(armor.decode(sealed), 'text');
  } catch (error) {
    throw invalidKit(
      messageOf(error),
      'Use the identity of one of the recipients that the sheet names; if it was typed from paper, compare each line.',
    );
  }
}

function invalidKit(why: string, hint: string): AppError {
  return new AppError('KIT_INVALID', `the kit can't be opened: ${why}`, { hint });
}
