// The applications that servers have published, for a worker without files of its own. What changes there is read again; what can't be
// used here leaves what was known before, and says so.
import { dirname, join } from 'node:path';
import { AppError, asError } from '../base/errors.ts';
import type { Catalog } from '../catalog/catalog.ts';
import { publishedConfigurations, type PublishedConfiguration } from '../catalog/published-configurations.ts';
import { Repeating } from '../workflow/repeating.ts';
import { textsIn, type KnownTenants, type Tenant } from './tenant.ts';

export interface PublishedTenantsParts {
  readonly catalog: Catalog;
  /** Of a path in place of the file that lies there, or does not; texts are those of it and of its template. */
  readonly load: (path: string, texts: ReadonlyMap<string, string>) => Promise<Tenant>;
  readonly onNote: (text: string) => void;
  readonly onProblem: (error: Error) => void;
}

const lookEveryMs = 5000;

interface Loaded {
  /** Of what was published; one that was withdrawn and published again begins with its versions anew. */
  readonly version: string;
  /** Undefined where it could never be used here. */
  readonly tenant: Tenant | undefined;
  /** Why this version can't be used. */
  readonly problem?: string;
}

export class PublishedTenants implements KnownTenants, AsyncDisposable {
  readonly #parts: PublishedTenantsParts;
  readonly #loaded = new Map<string, Loaded>();
  /** Applications of which it was told that they are not handed out. */
  #withheld: ReadonlySet<string> = new Set();
  #looking: Repeating | undefined;

  private constructor(parts: PublishedTenantsParts) {
    this.#parts = parts;
  }

  static async open(parts: PublishedTenantsParts): Promise<PublishedTenants> {
    const tenants = new PublishedTenants(parts);
    await tenants.#look();
    if (tenants.#loaded.size === 0 && tenants.#withheld.size === 0)
      parts.onNote('no server has published a configuration yet: waiting for one');
    const { onProblem } = parts;
    tenants.#looking = new Repeating({ everyMs: lookEveryMs, work: () => tenants.#look(), onProblem });
    return tenants;
  }

  get all(): Tenant[] {
    return [...this.#loaded.values()].flatMap(({ tenant }) => tenant ?? []);
  }

  find(application: string): Tenant | undefined {
    return this.#loaded.get(application)?.tenant;
  }

  textsOf(paths: readonly string[]): Readonly<Record<string, string>> {
    const asked = this.all.filter(({ configurationPath }) => paths.includes(configurationPath ?? ''));
    return Object.fromEntries(asked.flatMap(textsIn));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#looking?.[Symbol.asyncDispose]();
  }

  async #look(): Promise<void> {
    const { catalog, onNote } = this.#parts;
    const all = await publishedConfigurations(catalog);
    const published = all.filter(({ text }) => text !== '');
    this.#tellWithheld(all.filter(({ text }) => text === ''));
    for (const application of this.#loaded.keys()) {
      if (published.some((one) => one.application === application)) continue;
      this.#loaded.delete(application);
      onNote(`no server protects ${application} any more`);
    }
    for (const one of published) {
      const known = this.#loaded.get(one.application);
      // What it lacked may be here now: a file with a password, say.
      if (known?.version !== versionOf(one) || known.problem !== undefined) await this.#load(one, known);
    }
  }

  #tellWithheld(withheld: readonly PublishedConfiguration[]): void {
    for (const { application, host } of withheld) {
      if (this.#withheld.has(application)) continue;
      this.#parts.onNote(
        `${application} is not handed out by the server on ${host}, whose log says why: nothing is done for it here, unless its file is named, as in 'lifeboat worker ${application}.yaml'`,
      );
    }
    this.#withheld = new Set(withheld.map(({ application }) => application));
  }

  async #load(one: PublishedConfiguration, known: Loaded | undefined): Promise<void> {
    const { load, onNote, onProblem } = this.#parts;
    const { application, text, templatePath, templateText, host } = one;
    const version = versionOf(one);
    const path = this.#pathFor(one);
    const texts = new Map([[path, text]]);
    if (templatePath !== null && templateText !== null) texts.set(templatePath, templateText);
    try {
      const tenant = await load(path, texts);
      requireName(tenant, application);
      this.#loaded.set(application, { version, tenant });
      onNote(`${application} is configured as the server on ${host} has it, version ${one.version}`);
    } catch (error) {
      const problem = asError(error).message;
      this.#loaded.set(application, { version, tenant: known?.tenant, problem });
      // Told once for each version.
      if (known?.version === version && known.problem === problem) return;
      onProblem(new Error(`${application} can't be worked for here: ${problem}`, { cause: error }));
    }
  }

  /** Servers on different machines may each have one at the same place: whichever came first keeps it, since jobs name it by that. */
  #pathFor({ application, path, host }: PublishedConfiguration): string {
    const isTaken = [...this.#loaded].some(
      ([other, { tenant }]) => other !== application && tenant?.configurationPath === path,
    );
    return isTaken ? join(dirname(path), `${application}@${host}.yaml`) : path;
  }
}

const versionOf = ({ version, publishedAtMs }: PublishedConfiguration): string => `${version} of ${publishedAtMs}`;

/** Where the name refers to variables that are different here, its runs would be those of another. */
function requireName({ application: { name } }: Tenant, expected: string): void {
  if (name === expected) return;
  throw new AppError('CONFIG_INVALID', `its file is one of ${name} with the variables of this machine`, {
    hint: 'Give the variables in the name the values that they have at the server, or name the application by a parameter.',
  });
}
