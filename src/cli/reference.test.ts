import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { commandReference, loadAllCommands } from './reference.ts';

const page = new URL('../../docs/reference/cli.md', import.meta.url);

test("docs/reference/cli.md says what the commands say; run 'node scripts/generate-docs.ts' where it does not", async () => {
  expect(readFileSync(page, 'utf8')).toBe(commandReference(await loadAllCommands()));
});

test('every command has a summary without a period, and examples that call it by its name', async () => {
  const all = await loadAllCommands();
  for (const { name, command } of all) {
    // One that is in the table twice by intent is called by its shorter name: `verify`, `repository verify`.
    const names = all.filter((one) => one.command === command && !one.name.includes(' ')).map((one) => one.name);
    const calls = command.examples.filter((line) => [name, ...names].some((one) => line.startsWith(`lifeboat ${one}`)));
    expect({ name, summary: command.summary, calls }).toEqual({
      name,
      summary: expect.not.stringMatching(/\.$/),
      calls: expect.arrayContaining([expect.anything()]),
    });
  }
});

test('no example is too long for a terminal of 80 columns', async () => {
  const lines = (await loadAllCommands()).flatMap(({ command }) => command.examples);
  expect(lines.filter((line) => line.length > 78)).toEqual([]);
});
