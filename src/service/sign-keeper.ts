// Has the repositories know that this server lives, again and again, and hears if another one has replaced it.
import { asError, isAppError, type AppError } from '../base/errors.ts';
import type { Catalog } from '../catalog/catalog.ts';
import { noteReplaced, serviceRow } from '../catalog/service-self.ts';
import { Repeating } from '../workflow/repeating.ts';
import { runJob, type Launcher } from './job-process.ts';
import { signEveryMs } from './state/sign.ts';
import { configOption, type Tenant } from './tenant.ts';

export interface SignParts {
  readonly catalog: Catalog;
  readonly launcher: Launcher;
  readonly tenants: () => readonly Tenant[];
  readonly onReplaced: (error: AppError) => void;
  readonly onProblem: (error: Error) => void;
}

/** A store that does not answer keeps no server from its work for longer. */
const firstLookMaxMs = 10_000;
const lastSignMaxMs = 10_000;

export class SignKeeper implements AsyncDisposable {
  readonly #parts: SignParts;
  readonly #signing: Repeating;
  readonly #first = Promise.withResolvers<void>();
  readonly #abort = new AbortController();
  #hasSigned = false;
  #replaced: AppError | undefined;

  private constructor(parts: SignParts) {
    this.#parts = parts;
    const work = (): Promise<void> => this.#look().finally(() => this.#first.resolve());
    this.#signing = new Repeating({ everyMs: signEveryMs, work, onProblem: parts.onProblem });
  }

  /**
   * Rejects with `SERVICE_REPLACED` if this server was. Who was silent for so long that others may have taken it for gone waits for an answer
   * before it does anything.
   */
  static async start(parts: SignParts): Promise<SignKeeper> {
    const { signedAtMs } = await serviceRow(parts.catalog);
    const silentMs = signedAtMs === null ? 0 : (await parts.catalog.nowMs()) - signedAtMs;
    const keeper = new SignKeeper(parts);
    if (silentMs <= 2 * signEveryMs) return keeper;
    await keeper.#firstLook();
    if (keeper.#replaced === undefined) return keeper;
    await keeper[Symbol.asyncDispose]();
    throw keeper.#replaced;
  }

  /** Says that nobody is there any more, so that nobody has to wait. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#abort.abort(new Error('the service ends'));
    await this.#signing[Symbol.asyncDispose]();
    if (!this.#hasSigned || this.#replaced !== undefined) return;
    await this.#sign(['--ended'], AbortSignal.timeout(lastSignMaxMs)).catch((error: unknown) =>
      this.#parts.onProblem(asError(error)),
    );
  }

  #firstLook(): Promise<unknown> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, firstLookMaxMs);
    return Promise.race([this.#first.promise, promise]).finally(() => clearTimeout(timer));
  }

  async #look(): Promise<void> {
    const { signal } = this.#abort;
    if (this.#replaced !== undefined) return;
    try {
      await this.#sign([], signal);
    } catch (error) {
      if (signal.aborted) return;
      if (!isAppError(error, 'SERVICE_REPLACED')) throw error;
      this.#replaced = error;
      // Before anything that may fail: it must not act any more.
      this.#parts.onReplaced(error);
      await noteReplaced(this.#parts.catalog);
    }
  }

  async #sign(flags: readonly string[], signal: AbortSignal): Promise<void> {
    const { launcher, tenants } = this.#parts;
    const [first] = tenants();
    if (first?.application.selfBackup === undefined) return;
    const events = { onNote: () => undefined, onStatus: () => undefined };
    await runJob({ ...launcher, args: ['service', 'sign', ...flags, ...configOption(first)] }, events, signal);
    this.#hasSigned = true;
  }
}
