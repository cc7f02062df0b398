import { expect, test } from 'vitest';
import type { CommandContext, DemoWishes } from '../context.ts';
import type { Prompter } from '../prompter.ts';
import { startCommand } from './start.ts';

test.each([
  { when: 'without a terminal', prompter: undefined, isOnce: false, staysUp: false },
  { when: 'on a terminal', prompter: {}, isOnce: false, staysUp: true },
  { when: 'with --once', prompter: {}, isOnce: true, staysUp: false },
])('the demo stays up $when: $staysUp', async ({ prompter, isOnce, staysUp }) => {
  const wished: DemoWishes[] = [];
  const context: Partial<CommandContext> = {
    prompter: prompter as Prompter | undefined,
    named: { config: undefined, repository: undefined, passwordFile: undefined, hasDatabase: false },
    findConfiguration: () => Promise.resolve(undefined),
    runDemo(wishes) {
      wished.push(wishes);
      return Promise.resolve({ report: {}, exitCode: 0, render: () => '' });
    },
  };
  await startCommand.run(context as CommandContext, { isOnce });
  expect(wished).toEqual([{ staysUp }]);
});
