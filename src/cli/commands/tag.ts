// `tag`: adds, removes or replaces tags of snapshots.
import { count } from '../../base/count.ts';
import { AppError } from '../../base/errors.ts';
import { selectPoint } from '../../operations/restore/select-point.ts';
import { rewriteTags, type RewrittenSnapshot } from '../../repository/rewrite-tags.ts';
import { loadSnapshots } from '../../repository/snapshot.ts';
import { defineCommand } from '../command.ts';
import { listArgument, listOption, textOption } from '../option.ts';
import { openOne } from '../repository-choice.ts';
import { shortId } from '../style.ts';

export interface TagData {
  readonly changed: readonly RewrittenSnapshot[];
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
  },
  async run(context, { words, add, remove, set, component }): Promise<TagData> {
    if (add.length + remove.length + set.length === 0) {
      throw new AppError('USAGE', 'no tag is named', { hint: 'Give --add, --remove or --set.' });
    }
    const { signal, settings } = context;
    await using opened = await openOne(context, 'write');
    const all = await loadSnapshots(opened.repository, signal);
    const own = component === undefined ? {} : { component };
    const snapshots = words.map((from) => selectPoint(all, { from, ...own }, () => false).id);
    const changed = await rewriteTags(opened.repository, {
      snapshots,
      add,
      remove,
      ...(set.length > 0 && { set: keepComponent(set, all, snapshots) }),
      signal,
      lockWaitMs: settings.lockWaitMs,
    });
    return { changed };
  },
  render({ changed }) {
    const lines = changed.map(
      ({ from, to, tags }) => `${shortId(from)} is now ${shortId(to)}: ${tags.join(', ') || 'no tags'}`,
    );
    return [`changed ${count(changed.length, 'snapshot')}`, ...lines].join('\n');
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
