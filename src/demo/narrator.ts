// Tells the story while it happens: one line a step for people, one JSON object a step for programs.
import type { CommandContext } from '../cli/context.ts';
import { elapsedWords, wrap } from '../cli/style.ts';
import { toJson } from '../cli/terminal.ts';

export interface StepResult<Result> {
  /** What happened, with its numbers. */
  readonly text: string;
  /** The same for programs. */
  readonly facts: object;
  readonly result: Result;
}

export interface Narrator {
  /** Runs one step and tells what came of it. */
  step<Result>(name: string, act: () => Promise<StepResult<Result>>): Promise<Result>;
}

const widthColumns = 79;

export function narrator(context: CommandContext, stepCount: number): Narrator {
  const { clock, progress, settings, stdout } = context;
  let number = 0;
  return {
    async step(name, act) {
      number += 1;
      const startMs = clock.now();
      progress.update({ work: name });
      const { text, facts, result } = await act();
      const elapsedMs = clock.now() - startMs;
      if (settings.isJson) {
        const event = { message_type: 'step', step: number, of: stepCount, name, seconds: elapsedMs / 1000, ...facts };
        stdout.write(`${toJson(event)}\n`);
      } else {
        const lead = `${String(number).padStart(String(stepCount).length)}/${stepCount} ${name.padEnd(9)} `;
        const [first = '', ...rest] = wrap(`${text} (${elapsedWords(elapsedMs)})`, widthColumns - lead.length);
        progress.note([lead + first, ...rest.map((line) => ' '.repeat(lead.length) + line)].join('\n'));
      }
      return result;
    },
  };
}
