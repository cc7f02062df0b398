// Hands what a server has in force to workers that have no lifeboat.yaml of their own: they find it in the catalog that they share.
import type { Catalog } from '../catalog/catalog.ts';
import {
  publishConfiguration,
  publishedConfigurations,
  withdrawConfiguration,
  type NewConfiguration,
  type PublishedConfiguration,
} from '../catalog/published-configurations.ts';
import { liveWorkers } from '../catalog/workers.ts';
import { Repeating } from '../workflow/repeating.ts';
import type { Tenant } from './tenant.ts';

/** What must be known of the text of a configuration before it is handed out. */
export interface ConfigurationTexts {
  /** Places at which a secret stands as it is. */
  readonly secretsOf: (
    file: string,
    template: string | undefined,
  ) => readonly { readonly of: 'file' | 'template'; readonly place: string }[];
  readonly withoutComments: (text: string) => string;
}

export interface PublisherParts {
  readonly catalog: Catalog;
  readonly tenants: () => readonly Tenant[];
  readonly texts: ConfigurationTexts;
  readonly host: string;
  /** The worker's id of this server. */
  readonly worker: string;
  readonly onNote: (text: string) => void;
  readonly onProblem: (error: Error) => void;
}

const lookEveryMs = 5000;
/** Longer than it takes until a server that has just started is seen by others. */
const forsakenMs = 30_000;

export class Publisher implements AsyncDisposable {
  readonly #parts: PublisherParts;
  /** What was published last by this server, and what was told instead: what other servers say since is theirs. */
  readonly #last = new Map<string, string>();
  /** Applications that servers protect; undefined until it was looked for. */
  #published: ReadonlySet<string> | undefined;
  /** Since when somebody asks for one that is none of them. */
  readonly #missedMs = new Map<string, number>();
  readonly #looking: Repeating;

  constructor(parts: PublisherParts) {
    this.#parts = parts;
    const { onProblem } = parts;
    this.#looking = new Repeating({ everyMs: lookEveryMs, work: () => this.#look(), onProblem });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#looking[Symbol.asyncDispose]();
  }

  /** No server has protected it for a while: what was begun for it is for anybody to end. */
  isForsaken(application: string): boolean {
    if (this.#published?.has(application) !== false) return false;
    const missedMs = this.#missedMs.get(application) ?? performance.now();
    this.#missedMs.set(application, missedMs);
    return performance.now() - missedMs > forsakenMs;
  }

  async #look(): Promise<void> {
    const { catalog, tenants } = this.#parts;
    const own = tenants();
    const before = await publishedConfigurations(catalog);
    for (const tenant of own) {
      const { name: application } = tenant.application;
      // As it was read: to take the comments out of all of them at each look would be work.
      const key = JSON.stringify([tenant.configurationPath, tenant.text, tenant.template]);
      const isThere = before.some((one) => one.application === application);
      // Another server may have withdrawn what it had published of the same application.
      if (isThere && this.#last.get(application) === key) continue;
      const content = this.#contentOf(tenant);
      if (!this.#holdsSecrets(content)) await publishConfiguration(catalog, content);
      else if (!isThere)
        await publishConfiguration(catalog, { ...content, text: '', templatePath: null, templateText: null });
      this.#last.set(application, key);
    }
    const names = own.map(({ application }) => application.name);
    const withdrawn = await this.#withdraw(new Set(names), before);
    const left = before.filter(({ application }) => !withdrawn.has(application));
    this.#published = new Set([...names, ...left.map(({ application }) => application)]);
    for (const application of this.#published) this.#missedMs.delete(application);
  }

  #contentOf({ application, configurationPath, text, template }: Tenant): NewConfiguration {
    const { host, worker, texts } = this.#parts;
    return {
      application: application.name,
      path: configurationPath ?? '',
      text: texts.withoutComments(text ?? ''),
      templatePath: template?.path ?? null,
      templateText: template === undefined ? null : texts.withoutComments(template.text),
      host,
      worker,
    };
  }

  /** Then whoever reads the catalog would have them. Told once; an earlier version without them stays, else that the application is there is said. */
  #holdsSecrets({ application, path, text, templatePath, templateText }: NewConfiguration): boolean {
    const { texts, onNote } = this.#parts;
    if (path === '') return true; // From variables alone: a worker has its own.
    const found = texts
      .secretsOf(text, templateText ?? undefined)
      .map((one) => `${one.place} in ${one.of === 'file' ? path : templatePath}`);
    if (found.length > 0)
      onNote(
        `warning: workers without files of their own do not learn of ${application}: a secret stands as it is at ${found.join(', ')}; refer to a variable or a file in its place`,
      );
    return found.length > 0;
  }

  /** What was published from this machine, by this server or one that is gone, and is not named any more. */
  async #withdraw(
    own: ReadonlySet<string>,
    published: readonly PublishedConfiguration[],
  ): Promise<ReadonlySet<string>> {
    const { catalog, host, worker, onNote } = this.#parts;
    const left = published.filter((one) => one.host === host && !own.has(one.application));
    if (left.length === 0) return new Set();
    const alive = new Set((await liveWorkers(catalog)).map(({ id }) => id));
    const gone = left.filter((each) => each.worker === worker || !alive.has(each.worker));
    for (const one of gone) {
      await withdrawConfiguration(catalog, one);
      onNote(`${one.application} is not protected from here any more; workers are told`);
    }
    return new Set(gone.map(({ application }) => application));
  }
}
