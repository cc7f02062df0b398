// The applications that a service protects, each by a configuration file of its own. A file that changes is read again; one that can't be
// read then leaves what was known before, and says so.
import { AppError, asError, isAppError } from '../base/errors.ts';
import type { AlertSettings } from '../model/alert-settings.ts';
import type { Application } from '../model/application.ts';
import type { ProbeSettings } from '../model/probe.ts';
import type { ApiSettings } from '../model/service-settings.ts';
import type { WarmUpSettings } from '../model/warm-up.ts';
import { Repeating } from '../workflow/repeating.ts';

export interface Tenant {
  readonly application: Application;
  /** Absent where the classic environment variables give it. */
  readonly configurationPath: string | undefined;
  /** What was read there, and is in force. */
  readonly text?: string | undefined;
  /** What it extends, as it is in force. */
  readonly template?: { readonly path: string; readonly text: string } | undefined;
  readonly alerts: AlertSettings;
  readonly probes: Readonly<Record<string, ProbeSettings>>;
  /** Steps that fill its caches again, by name. */
  readonly warmUp?: Readonly<Record<string, WarmUpSettings>> | undefined;
  /** Counts if its file is the first; absent where nobody asks. */
  readonly api?: ApiSettings | undefined;
  /** Components that can't be reached from here, by name, because what their connection refers to is not set. */
  readonly unreachable?: ReadonlyMap<string, AppError> | undefined;
  /** What is left out, such as channels and probes, by its key, because what they refer to is not set here. */
  readonly unset: ReadonlyMap<string, AppError>;
  /** Why its file, which has changed since, can't be read anew. */
  readonly problem?: AppError | undefined;
}

/** The applications that a service knows, however it came by them. */
export interface KnownTenants {
  readonly all: readonly Tenant[];
  find(application: string): Tenant | undefined;
  /** Texts of the files that are among `paths`, and of their templates, by path. */
  textsOf(paths: readonly string[]): Readonly<Record<string, string>>;
}

/** Its own, then that of its template. */
export function filesOf({ configurationPath, template }: Tenant): string[] {
  return [configurationPath ?? [], template?.path ?? []].flat();
}

/** By their paths; what is of the file itself counts. */
export function textsIn({ configurationPath: path, text, template }: Tenant): (readonly [string, string])[] {
  return [
    ...(template === undefined ? [] : [[template.path, template.text] as const]),
    ...(path === undefined || text === undefined ? [] : [[path, text] as const]),
  ];
}

/** Names the file of the tenant on a command line. */
export function configOption({ configurationPath }: Tenant): string[] {
  return configurationPath === undefined ? [] : ['--config', configurationPath];
}

export interface TenantsParts {
  /** Of the files, in the order in which they were named; undefined for the one that is found by itself. */
  readonly paths: readonly (string | undefined)[];
  readonly load: (path: string | undefined) => Promise<Tenant>;
  /** Changes whenever the file, or the template that it extends, does; undefined where there is no file. */
  readonly versionOf: (path: string) => Promise<string | undefined>;
  readonly onChanged: (tenant: Tenant) => void;
  readonly onProblem: (error: Error) => void;
}

const lookEveryMs = 5000;

interface Loaded {
  readonly tenant: Tenant;
  readonly version: string | undefined;
  /** The more it is, the later it was read. */
  readonly reading: number;
}

export class Tenants implements KnownTenants, AsyncDisposable {
  readonly #parts: TenantsParts;
  readonly #loaded = new Map<string | undefined, Loaded>();
  #readings = 0;
  #looking: Repeating | undefined;

  private constructor(parts: TenantsParts) {
    this.#parts = parts;
  }

  /** Rejects if one of the files is not valid, or two are of one application. */
  static async open(parts: TenantsParts): Promise<Tenants> {
    const tenants = new Tenants(parts);
    for (const path of parts.paths) await tenants.#load(path);
    tenants.#looking = new Repeating({
      everyMs: lookEveryMs,
      work: () => tenants.#look(),
      onProblem: parts.onProblem,
    });
    return tenants;
  }

  get all(): Tenant[] {
    return [...this.#loaded.values()].map(({ tenant }) => tenant);
  }

  /**
   * Of a template that not all could follow when it changed, each gets what is in force for it; whoever asks for several of them gets
   * what was read last.
   */
  textsOf(paths: readonly string[]): Readonly<Record<string, string>> {
    const asked = [...this.#loaded.values()].filter(({ tenant }) => paths.includes(tenant.configurationPath ?? ''));
    const texts = asked
      .toSorted((left, right) => left.reading - right.reading)
      .flatMap(({ tenant }) => textsIn(tenant));
    return Object.fromEntries(texts);
  }

  find(application: string): Tenant | undefined {
    return this.all.find((tenant) => tenant.application.name === application);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#looking?.[Symbol.asyncDispose]();
  }

  async #load(path: string | undefined): Promise<Tenant> {
    const version = path === undefined ? undefined : await this.#parts.versionOf(path);
    const tenant = await this.#parts.load(path);
    const { name } = tenant.application;
    const other = [...this.#loaded].find(([at, { tenant: known }]) => at !== path && known.application.name === name);
    if (other !== undefined) {
      const isShared = tenant.template !== undefined && tenant.template.path === other[1].tenant.template?.path;
      const hint = isShared
        ? "Give each application a name of its own: by a parameter in the template, as in 'application: shop-${CUSTOMER}', or in each file."
        : 'Give each application a name of its own, and name each file once.';
      const message = `${path ?? name} and ${other[0] ?? 'another'} are both of application ${name}`;
      throw new AppError('CONFIG_INVALID', message, { hint });
    }
    this.#readings += 1;
    this.#loaded.set(path, { tenant, version, reading: this.#readings });
    return tenant;
  }

  async #look(): Promise<void> {
    for (const [path, { version, tenant, reading }] of this.#loaded) {
      if (path === undefined) continue;
      const now = await this.#parts.versionOf(path);
      if (now === version) continue;
      try {
        this.#parts.onChanged(await this.#load(path));
      } catch (error) {
        // Told once for each state of the file.
        const problem = isAppError(error) ? error : undefined;
        this.#loaded.set(path, { tenant: { ...tenant, problem }, version: now, reading });
        this.#parts.onProblem(asError(error));
      }
    }
  }
}
