import { EventEmitter } from 'node:events';
import { expect, test } from 'vitest';
import { watchInterruption } from './interruption.ts';

/** What the watcher needs of a process: signals that come, and an end that is asked for. */
class StandInProcess extends EventEmitter {
  readonly exits: number[] = [];
  exit(code: number): void {
    this.exits.push(code);
  }
}

function watched(hasHungUp = true) {
  const standIn = new StandInProcess();
  return { standIn, interruption: watchInterruption(standIn as unknown as NodeJS.Process, () => hasHungUp) };
}

test.each(['SIGINT', 'SIGTERM', 'SIGHUP'])('the first %s asks the work to stop and ends nothing', (name) => {
  const { standIn, interruption } = watched();
  standIn.emit(name, name);
  expect(interruption.signal.reason).toMatchObject({ code: 'INTERRUPTED', exitCode: 130 });
  expect(standIn.exits).toEqual([]);
});

test('the second signal, of whatever name, ends at once', () => {
  const { standIn } = watched();
  standIn.emit('SIGTERM', 'SIGTERM');
  standIn.emit('SIGINT', 'SIGINT');
  expect(standIn.exits).toEqual([130]);
});

test('a SIGHUP while the terminal is still there, by which restic looks for the owners of locks, stops nothing', () => {
  const { standIn, interruption } = watched(false);
  standIn.emit('SIGHUP', 'SIGHUP');
  standIn.emit('SIGHUP', 'SIGHUP');
  expect(interruption.signal.aborted).toBe(false);
  expect(standIn.exits).toEqual([]);
});

test('once the work is over, signals are what they were', () => {
  const { standIn, interruption } = watched();
  interruption[Symbol.dispose]();
  expect(standIn.listenerCount('SIGINT')).toBe(0);
});
