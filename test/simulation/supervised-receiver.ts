// A receiver that is started again whenever it ends, as the service of a machine does it, and watched: it may fail, but not by a fault
// of its own, and its spool may not outgrow its limit.
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { ReceiverWish, ReceiverWord } from '../support/receiver-child.ts';
import { Violation } from './simulated-repository.ts';

const program = fileURLToPath(new URL('../support/receiver-child.ts', import.meta.url));
const restartMs = 200;
/** Records beside the segments come on top of the limit. */
const slackBytes = 2 ** 20;

export interface SupervisedReceiver extends AsyncDisposable {
  /** What it said lately. */
  readonly words: readonly string[];
  readonly status: Extract<ReceiverWord, { kind: 'status' }> | undefined;
  /** How often it said that a new base is needed. */
  readonly basesAskedFor: () => number;
  /** With SIGKILL; it stays down. */
  kill(): Promise<void>;
  start(): void;
  setClock(offsetMs: number): void;
  /** Throws what must not have happened. */
  check(): void;
}

const wordsMax = 60;

export function superviseReceiver(wish: ReceiverWish): SupervisedReceiver {
  const words: string[] = [];
  let child: ChildProcess | undefined;
  let ended: Promise<unknown> = Promise.resolve();
  let isWanted = false;
  let clockOffsetMs = 0;
  let status: SupervisedReceiver['status'];
  let bases = 0;
  let violation: Violation | undefined;

  function hear(word: ReceiverWord): void {
    if (word.kind === 'status') {
      status = word;
      if (word.usedBytes > wish.spool.maxBytes + slackBytes)
        violation ??= new Violation(`the spool holds ${word.usedBytes} of ${wish.spool.maxBytes} bytes`);
      return;
    }
    words.push(`${word.kind}: ${word.text}`);
    if (words.length > wordsMax) words.shift();
    if (word.kind === 'base') bases += 1;
    if (word.kind === 'failed' && word.isOurs) violation ??= new Violation(`the receiver failed: ${word.text}`);
  }

  function spawn(): void {
    const made = fork(program, [JSON.stringify(wish)], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
    child = made;
    made.on('message', hear);
    made.send({ clockOffsetMs });
    ended = outlive(made);
  }

  async function outlive(made: ChildProcess): Promise<void> {
    const [code] = await once(made, 'exit');
    if (!isWanted || child !== made) return;
    if (code !== 1)
      violation ??= new Violation(`the receiver ended with ${String(code)}: ${words.slice(-5).join('; ')}`);
    await sleep(restartMs);
    if (isWanted && child === made) spawn();
  }

  const receiver: SupervisedReceiver = {
    words,
    get status() {
      return status;
    },
    basesAskedFor: () => bases,
    async kill() {
      isWanted = false;
      const exited = ended;
      child?.kill('SIGKILL');
      await exited;
    },
    start() {
      isWanted = true;
      spawn();
    },
    setClock(offsetMs) {
      clockOffsetMs = offsetMs;
      if (child?.connected === true) child.send({ clockOffsetMs });
    },
    check() {
      if (violation !== undefined) throw violation;
    },
    [Symbol.asyncDispose]: () => receiver.kill(),
  };
  return receiver;
}
