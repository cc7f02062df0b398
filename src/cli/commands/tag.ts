// `tag`: adds, removes or replaces tags of snapshots.
import { count } from '../../base/count.ts';
import { AppError } from '../../base/errors.ts';
import { selectPoint } from '../../operations/restore/select-point.ts';
import { decideTags, rewriteTags } from '../../repository/rewrite-tags.ts';
import { loadSnapshots, type StoredSnapshot } from '../../repository/snapshot.ts';
import { defineCommand } from '../command.ts';
import { listArgument, listOption, switchOption, textOption } from '../option.ts';
import { openToChange } from '../repository-choice.ts';
import { shortId } from '../style.ts';

export interface TagData {
  readonly isDryRun: boolean;
  readonly changed: readonly ChangedTags[];
}

export interface ChangedTags {
  readonly from: StoredSnapshot['id'];
  /** Absent with `--dry-run`. */
  readonly to?: StoredSnapshot['id'];
  readonly tags: readonly string[];
}

export const tagCommand = defineCommand({
  summary: 'Change the tags of snapshots',
  details: 'A snapshot whose tags change gets a new id; its data and its proofs stay.',
  examples: ['lifeboat tag latest --add before-release', 'lifeboat tag 46c536f7 --remove before-release --add keep'],
  arguments: { words: listArgument('<snapshot...>', 'latest, before:<time>, or first digits of ids') },
  options: {
    add: listOption('--add <tag>', 'tags to add'),
    remove: listOption('--remove <tag>', 'tags to remove'),
    set: listOption('--set <tag>', 'these in place of all others'),
    component: textOption('--component <name>', 'the component whose snapshots count'),
    isDryRun: switchOption('--dry-run', 'show which tags there would be, and do nothing'),
  },
  async run(context, { words, add, remove, set, component, isDryRun }): Promise<TagData> {
    if (add.length + remove.length + set.length === 0) {
      throw new AppError('USAGE', 'no tag is named', { hint: 'Give --add, --remove or --set.' });
    }
    const { signal, settings } = context;
    await using opened = await openToChange(context, isDryRun);
    const all = await loadSnapshots(opened.repository, signal);
    const own = component === undefined ? {} : { component };
    const snapshots = words.map((from) => selectPoint(all, { from, ...own }, () => false).id);
    const change = {
      snapshots,
      add,
      remove,
      ...(set.length > 0 && { set: keepComponent(set, all, snapshots) }),
      signal,
    };
    if (isDryRun) {
      const decisions = await decideTags(opened.repository, change);
      return { isDryRun, changed: decisions.map(({ snapshot, tags }) => ({ from: snapshot.id, tags })) };
    }
    const changed = await rewriteTags(opened.repository, { ...change, lockWaitMs: settings.lockWaitMs });
    return { isDryRun, changed };
  },
  render({ isDryRun, changed }) {
    const lines = changed.map(({ from, to, tags }) => {
      const will = to === undefined ? 'would have' : `is now ${shortId(to)}:`;
      return `${shortId(from)} ${will} ${tags.join(', ') || 'no tags'}`;
    });
    const verb = isDryRun ? 'would change' : 'changed';
    const end = isDryRun ? ['nothing was done: --dry-run'] : [];
    return [`${verb} ${count(changed.length, 'snapshot')}`, ...lines, ...end].join('\n');
  },
});

/** The tag that says whose snapshot it is is ours to keep: without it the snapshot would belong to nobody in restic's eyes. */
function keepComponent(
  set: readonly string[],
  all: readonly { readonly id: string; readonly tags: readonly string[] }[],
  ids: readonly string[],
): readonly string[] {
  const own = all
    .filter(({ id }) => ids.includes(id))
    .flatMap(({ tags }) => tags.filter((tag) => tag.startsWith('component=')));
  const names = new Set(own);
  return names.size === 1 ? [...names, ...set] : set;
}
