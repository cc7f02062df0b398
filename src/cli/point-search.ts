// Looks for a recovery point in all repositories that a command may read, in their order: one that can't be read must not
// keep anybody from what another one holds.
import { AppError, isAppError } from '../base/errors.ts';
import { monthOf, type Month } from '../model/archive.ts';
import { componentOf, isOf, isRelative, selectPoint, type PointRequest } from '../operations/restore/select-point.ts';
import { parseTime } from '../repository/go-text.ts';
import { loadSnapshots, type StoredSnapshot } from '../repository/snapshot.ts';
import type { UnreadableBase } from '../sources/replay.ts';
import type { Access, CommandContext, OpenedRepository } from './context.ts';
import { isProvenFor } from './proofs.ts';
import { plainStyle, shortId, wrap, type Style } from './style.ts';

/** A repository that could not be looked at, or a snapshot of one, and why. */
export interface UnreadRepository {
  readonly repository: string;
  /** Absent if it is all of the repository. */
  readonly snapshot?: string | undefined;
  readonly message: string;
}

export interface FoundPoint {
  readonly opened: OpenedRepository;
  readonly snapshot: StoredSnapshot;
}

export interface ReadRepository {
  readonly opened: OpenedRepository;
  /** Oldest first. */
  readonly snapshots: readonly StoredSnapshot[];
}

/** Opens each repository once, and only when it is needed. */
export class PointSearch implements AsyncDisposable {
  readonly #context: CommandContext;
  readonly #access: Access;
  readonly #opened = new AsyncDisposableStack();
  readonly #read: (ReadRepository | undefined)[] = [];
  /** Older months of archives, by name; undefined if it could not be read. */
  readonly #months = new Map<string, ReadRepository | undefined>();
  readonly #errors = new Map<string, AppError>();
  readonly #damaged: UnreadRepository[] = [];

  constructor(context: CommandContext, access: Access) {
    this.#context = context;
    this.#access = access;
  }

  /** A snapshot that was tried in vain by whoever searched. */
  leaveOut(repository: string, { id: snapshot, message }: UnreadableBase): void {
    if (this.#damaged.some((each) => each.repository === repository && each.snapshot === snapshot)) return;
    this.#damaged.push({ repository, snapshot, message });
  }

  /** Those that were tried in vain so far. */
  get unread(): readonly UnreadRepository[] {
    return [...this.#errors].map(([repository, { message }]) => ({ repository, message })).concat(this.#damaged);
  }

  /** Rejects with `NOT_FOUND` if no repository has it, and with what keeps them from being read if none can be. */
  async find(wanted: PointRequest): Promise<FoundPoint> {
    const { from } = wanted;
    const found: FoundPoint[] = [];
    for await (const read of this.#readable()) {
      const snapshot = await this.#pick(read, await this.#within(wanted, read));
      if (snapshot === undefined) continue;
      found.push({ opened: read.opened, snapshot });
      if (!isRelative(from)) break;
    }
    for await (const read of found.length === 0 ? this.#olderMonths() : []) {
      const snapshot = await this.#pick(read, await this.#within(wanted, read));
      if (snapshot === undefined) continue;
      this.#noteMonth(read.opened);
      found.push({ opened: read.opened, snapshot });
      break;
    }
    const [first, ...others] = found;
    if (first === undefined) throw await this.#notFound(wanted);
    return others.reduce(
      (best, other) => (parseTime(other.snapshot.time) > parseTime(best.snapshot.time) ? other : best),
      first,
    );
  }

  /** What a word without further explanation means: a component's name wins over the first digits of an id. */
  async meaningOf(word: string): Promise<PointRequest> {
    if (isRelative(word)) return { from: word };
    for (const looked of [this.#readable(), this.#olderMonths()]) {
      for await (const { snapshots } of looked) {
        if (snapshots.some((snapshot) => componentOf(snapshot) === word)) return { component: word, from: 'latest' };
        if (/^[0-9a-f]{4,64}$/.test(word) && snapshots.some(({ id }) => id.startsWith(word))) return { from: word };
      }
    }
    throw await this.#notFound({ component: word, from: 'latest' });
  }

  /** Those that have snapshots of it, with these alone; one that `from` names by its id may be another application's. */
  async ofComponent(component: string, from?: string): Promise<readonly ReadRepository[]> {
    const request = await this.#within({ component, from: 'latest' });
    const isNamed = ({ id }: StoredSnapshot): boolean => from !== undefined && id.startsWith(from);
    const found: ReadRepository[] = [];
    for await (const { opened, snapshots } of this.#readable()) {
      const own = snapshots.filter((one) => isOf(one, request) || (isNamed(one) && componentOf(one) === component));
      if (own.length > 0) found.push({ opened, snapshots: own });
    }
    for await (const { opened, snapshots } of found.length === 0 ? this.#olderMonths() : []) {
      const own = snapshots.filter((one) => isOf(one, request) || (isNamed(one) && componentOf(one) === component));
      if (own.length === 0) continue;
      this.#noteMonth(opened);
      found.push({ opened, snapshots: own });
      break;
    }
    if (found.length === 0) throw await this.#notFound({ component, from: 'latest' });
    return found;
  }

  /** All that can be read, in their order; rejects if none can. */
  async repositories(): Promise<readonly ReadRepository[]> {
    return Array.fromAsync(this.#readable());
  }

  /** All that can be read, each with its snapshots; rejects if none can be. */
  all(): Promise<ReadRepository[]> {
    return Array.fromAsync(this.#readable());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#opened.disposeAsync();
  }

  /** The configuration is that of one application, whose component is meant; without one, what lies in its repositories, but not a neighbour's. */
  async #within(request: PointRequest, read?: ReadRepository): Promise<PointRequest> {
    const application = (await this.#context.findConfiguration())?.application;
    if (request.component !== undefined) return { ...request, host: application?.name };
    // `archive/2026-11` is of the archive.
    const place = `${read?.opened.settings.name ?? ''}/`;
    const isOwn = application?.repositories.some(({ name }) => place.startsWith(`${name}/`)) ?? false;
    return isOwn ? { ...request, host: application?.name } : request;
  }

  async *#readable(): AsyncGenerator<ReadRepository> {
    const chosen = await this.#context.chosenRepositories();
    for (const [at, settings] of chosen.entries()) {
      if (at >= this.#read.length) this.#read.push(await this.#open(settings, chosen.length === 1));
      const read = this.#read[at];
      if (read !== undefined) yield read;
    }
    if (this.#errors.size === chosen.length) throw this.#noneReadable();
  }

  /** Of archives, for what their newest month lacks: the copies of a month come one after the other. */
  async *#olderMonths(): AsyncGenerator<ReadRepository> {
    for (const settings of await this.#context.chosenRepositories()) {
      // What could not be read before is told, and tried no second time.
      if (!this.#errors.has(settings.name)) yield* this.#monthsBefore(settings);
    }
  }

  async *#monthsBefore(settings: OpenedRepository['settings']): AsyncGenerator<ReadRepository> {
    const newest = this.#read.find((read) => read?.opened.settings === settings)?.opened.month;
    try {
      for await (const month of this.#context.monthsHolding(settings)) {
        if (month === newest) continue;
        const { name } = monthOf(settings, month);
        if (!this.#months.has(name)) this.#months.set(name, await this.#openMonth(settings, month));
        const read = this.#months.get(name);
        if (read !== undefined) yield read;
      }
    } catch (error) {
      this.#context.signal.throwIfAborted();
      if (!isAppError(error)) throw error;
      this.#damaged.push({ repository: settings.name, message: error.message });
    }
  }

  async #openMonth(settings: OpenedRepository['settings'], month: Month): Promise<ReadRepository | undefined> {
    const { name } = monthOf(settings, month);
    try {
      const opened = this.#opened.use(await this.#context.openRepository(settings, this.#access, month));
      const snapshots = await loadSnapshots(opened.repository, this.#context.signal, (id, { message }) => {
        this.#damaged.push({ repository: name, snapshot: id, message });
      });
      return { opened, snapshots };
    } catch (error) {
      this.#context.signal.throwIfAborted();
      if (!isAppError(error)) throw error;
      this.#damaged.push({ repository: name, message: error.message });
      return undefined;
    }
  }

  /** Whoever asked for the archive should hear that it is not its newest month that answers. */
  #noteMonth({ settings, month }: OpenedRepository): void {
    if (month === undefined) return;
    const newest = this.#read.find((read) => read?.opened.settings === settings)?.opened.month;
    const lack = newest === undefined ? '' : `${settings.name}/${newest} holds none, so `;
    this.#context.progress.note(`${lack}it comes from ${settings.name}/${month}`);
  }

  async #open(settings: OpenedRepository['settings'], isOnlyOne: boolean): Promise<ReadRepository | undefined> {
    try {
      const opened = this.#opened.use(await this.#context.openRepository(settings, this.#access, 'newest'));
      const snapshots = await loadSnapshots(opened.repository, this.#context.signal, (id, { message }) => {
        this.#damaged.push({ repository: settings.name, snapshot: id, message });
      });
      return { opened, snapshots };
    } catch (error) {
      this.#context.signal.throwIfAborted();
      if (isOnlyOne || !isAppError(error)) throw error;
      this.#errors.set(settings.name, error);
      return undefined;
    }
  }

  async #pick({ opened, snapshots }: ReadRepository, request: PointRequest): Promise<StoredSnapshot | undefined> {
    const isProven = await isProvenFor([request.from], opened.repository, this.#context.signal);
    try {
      return selectPoint(snapshots, request, isProven);
    } catch (error) {
      if (isAppError(error, 'NOT_FOUND')) return undefined;
      throw error;
    }
  }

  async #notFound({ component, from }: PointRequest): Promise<AppError> {
    const read = this.#read.filter((each) => each !== undefined);
    const names = read.map(({ opened }) => opened.settings.name).join(', ');
    const all = read.flatMap(({ snapshots }) => snapshots);
    const components = [...new Set(all.flatMap((snapshot) => componentOf(snapshot) ?? []))].toSorted();
    const unread = this.unread.map((each) => `; ${unreadName(each)} could not be read: ${each.message}`).join('');
    const application = (await this.#context.findConfiguration())?.application;
    const known = [...(application?.components ?? []).map(({ name }) => name), ...components];
    if (component !== undefined && !known.includes(component) && components.length > 0) {
      return new AppError('NOT_FOUND', `there is no component and no snapshot '${component}' in ${names}${unread}`, {
        hint: `Name a component (${components.join(', ')}), or a snapshot that 'lifeboat snapshots' lists.`,
      });
    }
    const whose = component === undefined ? '' : ` of ${component}`;
    const wanted = { component, from, host: application?.name };
    const others = othersOf(all, wanted);
    if (others.length > 0) return ofOthers(`has no snapshot${whose} in ${names}${unread}`, others, wanted);
    const hasSome = component === undefined ? all.length > 0 : components.includes(component);
    return new AppError('NOT_FOUND', `there is no snapshot${whose} for '${from}' in ${names}${unread}`, {
      hint: hasSome ? "List what there is with 'lifeboat snapshots'." : await this.#howToHaveOne(),
    });
  }

  /** An archive is filled by copies alone. */
  async #howToHaveOne(): Promise<string> {
    const chosen = await this.#context.chosenRepositories();
    const archives = chosen.flatMap((each) => each.partOf?.name ?? (each.archive === undefined ? [] : each.name));
    return archives.length === chosen.length
      ? `Bring one there with 'lifeboat copy --to ${archives[0]}'.`
      : "Take one with 'lifeboat backup'.";
  }

  #noneReadable(): AppError {
    const errors = [...this.#errors.values()];
    const [first] = errors;
    const isAlike = first !== undefined && errors.every(({ code }) => code === first.code);
    const reasons = [...this.#errors].map(([repository, { message }]) => `${repository}: ${message}`);
    return new AppError(
      isAlike ? first.code : 'STORE_UNREACHABLE',
      `none of the repositories can be read\n  ${reasons.join('\n  ')}`,
      { hint: 'Mend one of them, or name another place with --repository.', cause: new AggregateError(errors) },
    );
  }
}

/** The applications that have what this one lacks; none where it lacks nothing. */
function othersOf(all: readonly StoredSnapshot[], { component, from, host }: PointRequest): readonly string[] {
  if (!isRelative(from)) return [];
  const fitting = all.filter((one) => componentOf(one) !== undefined && isOf(one, { component, from: 'latest' }));
  const hosts = [...new Set(fitting.map(({ hostname }) => hostname))].toSorted();
  return host === undefined || hosts.includes(host) ? [] : hosts;
}

function ofOthers(lack: string, others: readonly string[], { component, host = '' }: PointRequest): AppError {
  const how = component === undefined ? '' : ' with --from';
  const have = `${others.join(' and ')} ${others.length === 1 ? 'has' : 'have'}`;
  return new AppError('NOT_FOUND', `the application ${host} ${lack}; ${have}`, {
    hint: `Name one by its id${how} ('lifeboat snapshots --host ${others[0]}' lists them) if it is meant.`,
  });
}

function unreadName({ repository, snapshot }: UnreadRepository): string {
  return snapshot === undefined
    ? `repository ${repository}`
    : `snapshot ${shortId(snapshot)} of repository ${repository}`;
}

/** For commands whose output is what was looked for and nothing else. */
export function noteUnread(unread: readonly UnreadRepository[], { progress }: Pick<CommandContext, 'progress'>): void {
  for (const line of unreadLines(unread, plainStyle())) progress.note(line);
}

/** What was looked for may lie in a repository that could not be read: for those who only look, a damaged snapshot is told. */
export const exitCodeOf = (unread: readonly UnreadRepository[]): number =>
  unread.some(({ snapshot }) => snapshot === undefined) ? 3 : 0;

/** What a result says of repositories that were passed over. */
export function unreadLines(unread: readonly UnreadRepository[], style: Style): string[] {
  return unread
    .flatMap((each) => wrap(`warning: ${unreadName(each)} was left out: ${each.message}`, style.widthColumns))
    .map((line) => line.replace(/^warning:/, style.paint('yellow', 'warning:')));
}
