// Tells how a standby is: in the last line of the terminal, in JSON lines, and in the record that other processes read.
import { isAppError } from '../base/errors.ts';
import { NewestOnly } from '../base/newest-only.ts';
import type { Finding } from '../model/finding.ts';
import type { Proof } from '../model/proof.ts';
import { type StandbyRecord, writeStandbyRecord } from '../operations/standby/standby-record.ts';
import type { StandbyEnd, StandbyEvents, StandbyFigures } from '../sources/standby.ts';
import type { CommandContext } from './context.ts';
import { figuresWords } from './standby-words.ts';
import { toJson } from './terminal.ts';

interface TellerOptions {
  readonly component: string;
  readonly folder: string;
  readonly recordFolder: string;
  readonly repository: string;
}

type ToldProof = Pick<Proof, 'outcome' | 'time' | 'message'>;

const tellEveryMs = 1_000;
/** While nothing happens, as where a repository is waited for: whoever reads the record takes silence for an end. */
const aliveEveryMs = 5_000;
const proofsKeptMax = 100;
/** One repository that is away is one trouble. */
const troubleEveryMs = 60_000;

export class StandbyTeller implements StandbyEvents {
  readonly #context: CommandContext;
  readonly #options: TellerOptions;
  readonly #alive: NodeJS.Timeout;
  #newest: StandbyFigures | undefined;
  #newestMs = 0;
  #proofs: readonly ToldProof[] = [];
  #toldMs = -Infinity;
  #troubleMs = -Infinity;
  #bytesDone = 0;
  #failure: string | undefined;
  readonly #writes = new NewestOnly<StandbyRecord>((record) => this.#write(record));

  constructor(context: CommandContext, options: TellerOptions & { readonly aliveMs?: number }) {
    this.#context = context;
    this.#options = options;
    this.#alive = setInterval(() => this.#record(true), options.aliveMs ?? aliveEveryMs).unref();
  }

  get newest(): StandbyFigures | undefined {
    return this.#newest;
  }

  get proofs(): readonly ToldProof[] {
    return this.#proofs;
  }

  note(message: string): void {
    this.#context.progress.note(message);
  }

  warn({ outcome, message, hint }: Finding): void {
    const word = outcome === 'failed' ? 'error' : 'warning';
    this.#context.progress.note(`${word}: ${message}${hint === undefined ? '' : `\nhint: ${hint}`}`);
  }

  trouble(error: Error): void {
    const nowMs = this.#context.clock.now();
    if (nowMs - this.#troubleMs < troubleEveryMs) return;
    this.#troubleMs = nowMs;
    const hint = isAppError(error) ? { hint: error.hint } : {};
    this.warn({ aspect: 'repository', outcome: 'warning', message: error.message, ...hint });
  }

  restored(bytes: number): void {
    this.#bytesDone += bytes;
    this.#context.progress.update({
      work: `restore the standby of ${this.#options.component}`,
      bytesDone: this.#bytesDone,
    });
    this.#record(false);
  }

  figures(figures: StandbyFigures): void {
    const isOther = figures.phase !== this.#newest?.phase || figures.problem !== this.#newest.problem;
    this.#newest = figures;
    this.#newestMs = this.#context.clock.now();
    const { component } = this.#options;
    this.#context.progress.update({ work: `standby of ${component}`, detail: figuresWords(figures) });
    const isTold = this.#record(isOther);
    if (!isTold || !this.#context.settings.isJson) return;
    this.#context.stdout.write(`${toJson({ message_type: 'standby', component, ...figures })}\n`);
  }

  proved(proof: Proof): void {
    const { outcome, time, message } = proof;
    this.#proofs = [...this.#proofs, { outcome, time, message }].slice(-proofsKeptMax);
    if (outcome === 'passed') this.note(`passed: ${message}`);
    else this.warn({ aspect: 'proof', outcome: 'failed', message: `${outcome}: ${message}` });
    this.#record(true);
  }

  /** Why it ends. */
  failed(problem: string): void {
    this.#failure = problem;
  }

  async end(end: StandbyEnd | undefined): Promise<void> {
    clearInterval(this.#alive);
    this.#context.progress.clear();
    const last =
      end?.kind === 'promoted'
        ? { phase: 'promoted' as const, promoted: { ...end, notes: [...end.notes] } }
        : { phase: 'stopped' as const };
    const why = this.#failure === undefined ? {} : { problem: this.#failure };
    this.#writes.hand({ ...this.#current(), connection: undefined, ...last, ...why });
    await this.#writes.settled();
  }

  #record(isDue: boolean): boolean {
    const nowMs = this.#context.clock.now();
    if (!isDue && nowMs - this.#toldMs < tellEveryMs) return false;
    this.#toldMs = nowMs;
    this.#writes.hand(this.#current());
    return true;
  }

  #current(): StandbyRecord {
    const { folder, repository } = this.#options;
    const proof = this.#proofs.at(-1);
    const writtenAtMs = this.#context.clock.now();
    const ageMs = this.#newest?.ageMs;
    return {
      version: 1,
      folder,
      repository,
      pid: process.pid,
      writtenAtMs,
      ...this.#newest,
      // What it shows grows older meanwhile.
      ageMs: ageMs === undefined ? undefined : ageMs + Math.max(0, writtenAtMs - this.#newestMs),
      phase: this.#newest?.phase ?? 'starting',
      ...(proof !== undefined && { proof }),
    };
  }

  /** A record that can't be written is no reason to stop. */
  async #write(record: StandbyRecord): Promise<void> {
    try {
      await writeStandbyRecord(this.#options.recordFolder, record, this.#context.random);
    } catch (error) {
      if (error instanceof Error) this.trouble(error);
    }
  }
}
