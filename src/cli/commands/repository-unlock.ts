// `repository unlock`: removes locks that dead processes left behind.
import { count } from '../../base/count.ts';
import { locksToRemove, unlock } from '../../repository/lock.ts';
import { defineCommand } from '../command.ts';
import { switchOption } from '../option.ts';
import { openToChange } from '../repository-choice.ts';
import { ageWords } from '../style.ts';
import { table } from '../table.ts';

export interface RemovedLocks {
  readonly isDryRun: boolean;
  readonly removed: readonly {
    readonly id: string;
    readonly time: string;
    readonly exclusive: boolean;
    readonly hostname: string;
    readonly username: string;
    readonly pid: number;
    readonly isStale: boolean;
  }[];
}

export const repositoryUnlockCommand = defineCommand({
  summary: 'Remove stale locks',
  details:
    'A lock is stale when its process is gone from this machine, or when it was not refreshed for 30 minutes. --all removes live ones too: only when you are sure that nothing works on the repository.',
  examples: ['lifeboat repository unlock', 'lifeboat repository unlock --all --repository s3://bucket/app'],
  arguments: {},
  options: {
    all: switchOption('--all', 'remove all locks, even live ones'),
    isDryRun: switchOption('--dry-run', 'show which locks would be removed, and do nothing'),
  },
  async run(context, { all, isDryRun }): Promise<RemovedLocks> {
    await using opened = await openToChange(context, isDryRun);
    const { repository } = opened;
    const options = { removeAll: all, signal: context.signal };
    const removed = isDryRun
      ? await Array.fromAsync(locksToRemove(repository, options))
      : await unlock(repository, options);
    return { isDryRun, removed };
  },
  render({ isDryRun, removed }, style) {
    if (removed.length === 0) return 'no stale locks';
    const columns = [
      { title: 'Owner', shrinksTo: 16 },
      { title: 'Process', align: 'right' as const },
      { title: 'Kind' },
      { title: 'Since' },
    ];
    const rows = removed.map(({ username, hostname, pid, exclusive, time }) => [
      `${username}@${hostname}`,
      String(pid),
      exclusive ? 'exclusive' : 'shared',
      ageWords(time, style),
    ]);
    const verb = isDryRun ? 'would remove' : 'removed';
    const end = isDryRun ? '\nnothing was done: --dry-run' : '';
    return `${verb} ${count(removed.length, 'lock')}\n${table(columns, rows, style)}${end}`;
  },
});
