// `start`: the first thing a newcomer runs (`npm start`). With a lifeboat.yaml it shows the application's state and what to
// do next; without one it demonstrates on a shop of its own what Lifeboat does.
import { defineCommand } from '../command.ts';
import type { Demonstrated } from '../context.ts';
import { renderStatus, statusCommand, type StatusData } from './status.ts';

export type StartData =
  | ({ readonly mode: 'demonstration' } & Demonstrated)
  | { readonly mode: 'status'; readonly status: StatusData; readonly nextSteps: readonly string[] };

export const startCommand = defineCommand({
  summary: 'Show the state of the application, or, without a lifeboat.yaml, demonstrate',
  details:
    'The demonstration makes a small web shop (PostgreSQL, Redis, uploads, configuration) in ./lifeboat-demo with servers of its own, backs it up twice, proves the backups, destroys the shop, restores it, and compares. It leaves the backups there for you to try commands on. Exit code 1: something did not come back as it was.',
  examples: ['lifeboat start', 'lifeboat start --json'],
  arguments: {},
  options: {},
  isLong: true,
  async run(context): Promise<StartData> {
    const configuration = await context.findConfiguration();
    if (configuration === undefined) return { mode: 'demonstration', ...(await context.demonstrate()) };
    const status = await statusCommand.run(context, { names: [] });
    return { mode: 'status', status, nextSteps: nextSteps(status) };
  },
  render(data, style) {
    if (data.mode === 'demonstration') return data.render(style);
    const steps = data.nextSteps.map((step) => `  ${step}`);
    return [renderStatus(data.status, style), '', 'Next:', ...steps].join('\n');
  },
  exitCode: (data) => (data.mode === 'demonstration' ? data.exitCode : (statusCommand.exitCode?.(data.status) ?? 0)),
});

function nextSteps({ components, repositories }: StatusData): string[] {
  const isUnreadable = repositories.some(({ problem }) => problem !== undefined);
  const hasGap = components.some(({ newest }) => newest === undefined);
  return [
    'lifeboat check             # is everything in place?',
    ...(isUnreadable ? ['lifeboat repository init   # if the repository is yet to be created'] : []),
    ...(hasGap || isUnreadable ? ['lifeboat backup            # back up all components'] : []),
    'lifeboat prove             # do the backups really come back?',
    'lifeboat restore --help    # when something is lost',
  ];
}
