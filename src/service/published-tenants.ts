// The applications that servers have published, for a worker without files of its own. What changes there is read again; what can't be
// used here leaves what was known before, and says so.
import { dirname, join } from 'node:path';
import { asError } from '../base/errors.ts';
import type { Catalog } from '../catalog/catalog.ts';
import { publishedConfigurations, type PublishedConfiguration } from '../catalog/published-configurations.ts';
import { Repeating } from '../workflow/repeating.ts';
import type { KnownTenants, Tenant } from './tenant.ts';

export interface PublishedTenantsParts {
  readonly catalog: Catalog;
  /** Of a path in place of the file that lies there, or does not; texts are those of it and of its template. */
  readonly load: (path: string, texts: ReadonlyMap<string, string>) => Promise<Tenant>;
  readonly onNote: (text: string) => void;
  readonly onProblem: (error: Error) => void;
}

const lookEveryMs = 5000;

interface Loaded {
  readonly version: number;
  /** Undefined where it could never be used here. */
  readonly tenant: Tenant | undefined;
}

export class PublishedTenants implements KnownTenants, AsyncDisposable {
  readonly #parts: PublishedTenantsParts;
  readonly #loaded = new Map<string, Loaded>();
  #looking: Repeating | undefined;

  private constructor(parts: PublishedTenantsParts) {
    this.#parts = parts;
  }

  static async open(parts: PublishedTenantsParts): Promise<PublishedTenants> {
    const tenants = new PublishedTenants(parts);
    await tenants.#look();
    if (tenants.#loaded.size === 0) parts.onNote('no server has published a configuration yet: waiting for one');
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
    return Object.fromEntries(asked.flatMap((tenant) => [...textsOf(tenant)]));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#looking?.[Symbol.asyncDispose]();
  }

  async #look(): Promise<void> {
    const { catalog, onNote } = this.#parts;
    const published = (await publishedConfigurations(catalog)).filter(({ text }) => text !== '');
    for (const application of this.#loaded.keys()) {
      if (published.some((one) => one.application === application)) continue;
      this.#loaded.delete(application);
      onNote(`no server protects ${application} any more`);
    }
    for (const one of published) {
      const known = this.#loaded.get(one.application);
      if (known?.version !== one.version) await this.#load(one, { known, published });
    }
  }

  async #load(
    { application, version, text, templatePath, templateText, host, ...place }: PublishedConfiguration,
    { known, published }: { readonly known: Loaded | undefined; readonly published: readonly PublishedConfiguration[] },
  ): Promise<void> {
    const { load, onNote, onProblem } = this.#parts;
    // Servers on different machines may each have one at the same place.
    const isFirst = published.find(({ path }) => path === place.path)?.application === application;
    const path = isFirst ? place.path : join(dirname(place.path), `${application}.yaml`);
    const texts = new Map([[path, text]]);
    if (templatePath !== null && templateText !== null) texts.set(templatePath, templateText);
    try {
      const tenant = await load(path, texts);
      this.#loaded.set(application, { version, tenant });
      onNote(`${application} is configured as the server on ${host} has it, version ${version}`);
    } catch (error) {
      // Told once for each version.
      this.#loaded.set(application, { version, tenant: known?.tenant });
      onProblem(new Error(`${application} can't be worked for here: ${asError(error).message}`, { cause: error }));
    }
  }
}

function textsOf({ configurationPath: path, text, template }: Tenant): Map<string, string> {
  const texts = new Map<string, string>();
  if (template !== undefined) texts.set(template.path, template.text);
  if (path !== undefined && text !== undefined) texts.set(path, text);
  return texts;
}
