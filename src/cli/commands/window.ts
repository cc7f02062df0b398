// `window`: to which instants a component can go back, by what the repositories hold now.
import { readJournals } from '../../operations/journal/reader.ts';
import { replayPlace, type ReplayRepository } from '../../operations/restore/replay.ts';
import { loadIndex } from '../../repository/load-index.ts';
import { WorkerPool } from '../../repository/worker-pool.ts';
import { isReplayable, type ReplayWindow } from '../../sources/replay.ts';
import { defineCommand } from '../command.ts';
import type { CommandContext } from '../context.ts';
import { requiredArgument } from '../option.ts';
import { PointSearch, unreadLines, type ReadRepository, type UnreadRepository } from '../point-search.ts';
import { componentLike, configuredComponent } from '../recovery-point.ts';
import { windowText } from '../restore-report.ts';
import { wrap, type Style } from '../style.ts';

export interface WindowData {
  readonly component: string;
  readonly repositories: readonly { readonly name: string; readonly windows: readonly ReplayWindow[] }[];
  readonly unread: readonly UnreadRepository[];
}

export const windowCommand = defineCommand({
  summary: 'Show to which instants a component can go back',
  details:
    'Per repository and timeline from where a backup is consistent to the end of what was received without a hole. Every instant in between can be given to restore --at. Exit code 4: there is none, 3: a repository or a backup could not be read.',
  examples: ['lifeboat window database', 'lifeboat window database --json'],
  arguments: { component: requiredArgument('<component>', 'the component') },
  options: {},
  async run(context, { component }): Promise<WindowData> {
    await using search = new PointSearch(context, 'read');
    const read = await search.ofComponent(component);
    const repositories: { name: string; windows: readonly ReplayWindow[] }[] = [];
    for (const one of read) {
      repositories.push({ name: one.opened.settings.name, windows: await windowsOf(one, { search, context }) });
    }
    return { component, repositories, unread: search.unread };
  },
  render({ repositories, unread }, style) {
    return [...repositories.flatMap((one) => repositoryLines(one, style)), ...unreadLines(unread, style)].join('\n');
  },
  exitCode: ({ repositories, unread }) => {
    if (repositories.every(({ windows }) => windows.length === 0)) return 4;
    return unread.length > 0 ? 3 : 0;
  },
});

async function windowsOf(
  { opened: { repository, settings }, snapshots }: ReadRepository,
  { search, context }: { readonly search: PointSearch; readonly context: CommandContext },
): Promise<readonly ReplayWindow[]> {
  const newest = snapshots.at(-1);
  if (newest === undefined) return [];
  const { signal } = context;
  await using pool = new WorkerPool(repository);
  const indexed = { repository, index: await loadIndex(repository, signal) };
  const point = { indexed, pool, snapshot: newest };
  const kind = (await configuredComponent(newest, context)) ?? (await componentLike(point, signal));
  const source = await context.sourceOf(kind);
  if (!isReplayable(source)) return [];
  const kept: ReplayRepository = {
    name: settings.name,
    indexed,
    pool,
    snapshots,
    journal: readJournals(repository),
    onUnreadable: (base) => search.leaveOut(settings.name, base),
  };
  return await source.replay.windows(await replayPlace(kept, signal), signal);
}

function repositoryLines({ name, windows }: WindowData['repositories'][number], style: Style): string[] {
  if (windows.length === 0) return [`${name}: no physical backup, so no instants`];
  return windows.flatMap((window) => {
    const { branch, missing } = window;
    const behind = missing === undefined ? '' : `; behind it ${missing} are missing`;
    return wrap(`${name}: ${branch}, from ${windowText(window, style)}${behind}`, style.widthColumns);
  });
}
