// `start` (npm start): what a newcomer runs first. Where a lifeboat.yaml lies: how things stand and what to do next. Where
// none does, and no repository is named: the demo.
import { defineCommand } from '../command.ts';
import type { DemoOutcome } from '../context.ts';
import { switchOption } from '../option.ts';
import { wrap } from '../style.ts';
import { liveStatus, proofTroubles, renderStatus, type ComponentStatus, type StatusData } from './status.ts';

export type StartData = StartStatus | ({ readonly mode: 'demo' } & DemoOutcome);

interface StartStatus {
  readonly mode: 'status';
  readonly status: StatusData;
  readonly nextSteps: readonly { readonly command: string; readonly why: string }[];
}

export const startCommand = defineCommand({
  summary: 'Show how things stand and what to do next; without a lifeboat.yaml or --repository, the demo',
  details:
    "The demo makes a small web shop (PostgreSQL, Redis, uploads, configuration) with servers of its own in ./lifeboat-demo, and starts 'lifeboat server' there, which backs it up, follows the changes of its database, proves the backups and watches the shop. The shop is destroyed, a mail tells whoever is on call, it is restored to the instant before, and compared. It takes about 180 MB, which stay there, to try commands on. On a terminal all of it then goes on until Ctrl-C; elsewhere, and with --once, it ends. Exit code 1: something did not come back as it was.",
  examples: ['npm start', 'lifeboat start --once'],
  arguments: {},
  options: { isOnce: switchOption('--once', 'end the demo when its story is told, also on a terminal') },
  isLong: true,
  async run(context, { isOnce }): Promise<StartData> {
    const path = (await context.findConfiguration())?.path;
    // Who names a repository asks about it.
    if (path === undefined && context.named.repository === undefined)
      return { mode: 'demo', ...(await context.runDemo({ staysUp: context.prompter !== undefined && !isOnce })) };
    const status = await liveStatus(context, []);
    return { mode: 'status', status, nextSteps: nextSteps(status, path) };
  },
  render(data, style) {
    if (data.mode === 'demo') return data.render(style);
    const steps = data.nextSteps.flatMap(({ command, why }) => [
      `  ${style.paint('bold', command)}`,
      ...wrap(why, style.widthColumns - 6).map((line) => `      ${line}`),
    ]);
    return [renderStatus(data.status, style), '', 'Next:', ...steps].join('\n');
  },
  exitCode: (data) => (data.mode === 'demo' ? data.exitCode : 0),
});

const exampleComponents = 'components: { uploads: { type: files, paths: [./uploads] } }';

/** The most urgent first. */
export function nextSteps(
  { components, repositories }: StatusData,
  path: string | undefined,
): StartStatus['nextSteps'] {
  const steps: { command: string; why: string }[] = [];
  if (components.length === 0) {
    const why = `it has no components yet, so nothing is protected; write what to back up, such as: ${exampleComponents} - then run 'lifeboat check'`;
    if (path === undefined)
      steps.push({
        command: 'lifeboat init',
        why: 'nothing is backed up there, and no lifeboat.yaml here says what to',
      });
    else steps.push({ command: `edit ${path}`, why });
  }
  for (const { name, problem } of repositories) {
    if (problem === undefined) continue;
    steps.push({ command: 'lifeboat check', why: `the repository ${name} can't be read: ${problem}` });
  }
  const names = (fits: (component: ComponentStatus) => boolean): string =>
    components
      .filter(fits)
      .map(({ name }) => name)
      .join(', ');
  const unsaved = names(({ newest }) => newest === undefined);
  if (unsaved !== '') steps.push({ command: 'lifeboat backup', why: `no backup yet: ${unsaved}` });
  const late = names(({ newest, rpo }) => newest !== undefined && rpo === 'breached');
  if (late !== '') steps.push({ command: 'lifeboat backup', why: `older than its RPO allows: ${late}` });
  steps.push(...proofTroubles(components));
  const unproven = names(({ newest, proof }) => newest !== undefined && proof === undefined);
  if (unproven !== '') steps.push({ command: 'lifeboat prove', why: `never seen to come back: ${unproven}` });
  if (steps.length === 0)
    steps.push({ command: 'lifeboat status', why: 'all is backed up and proven; look now and then' });
  return steps;
}
