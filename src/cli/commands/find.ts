// `find`: which snapshots hold a file, by name or pattern.
import { count } from '../../base/count.ts';
import { componentOf } from '../../operations/restore/select-point.ts';
import { findPaths } from '../../repository/find.ts';
import { loadIndex } from '../../repository/load-index.ts';
import { defineCommand } from '../command.ts';
import { listArgument, switchOption, textOption } from '../option.ts';
import { readableSnapshots } from '../readable-snapshots.ts';
import { openFirst } from '../repository-choice.ts';
import { bytes, shortId, shortTime } from '../style.ts';

export interface FindData {
  readonly snapshots: readonly {
    readonly id: string;
    readonly time: string;
    readonly component: string | undefined;
    readonly found: readonly {
      readonly path: string;
      readonly type: string;
      readonly sizeBytes: number;
      readonly modified: string;
    }[];
  }[];
}

export const findCommand = defineCommand({
  summary: 'Find files in snapshots',
  details:
    'A pattern without a slash fits names at any depth; * stands for anything within a name, ** for any folders.',
  examples: [
    "lifeboat find '*.pdf'",
    'lifeboat find invoice-2026-11.pdf --component uploads',
    "lifeboat find '/srv/**/config.yml' --ignore-case",
  ],
  arguments: { patterns: listArgument('<pattern...>', 'names or patterns') },
  options: {
    component: textOption('--component <name>', 'only snapshots of this component'),
    ignoreCase: switchOption('-i, --ignore-case', 'upper and lower case are the same'),
  },
  async run(context, { patterns, component, ignoreCase }): Promise<FindData> {
    const { signal } = context;
    await using opened = await openFirst(context, 'read');
    const { repository } = opened;
    const all = await readableSnapshots(repository, context);
    const chosen = all.filter((snapshot) => component === undefined || componentOf(snapshot) === component);
    const indexed = { repository, index: await loadIndex(repository, signal) };
    const snapshots: FindData['snapshots'][number][] = [];
    for await (const { snapshot, found } of findPaths(indexed, chosen, { patterns, ignoreCase, signal })) {
      snapshots.push({
        id: snapshot.id,
        time: snapshot.time,
        component: componentOf(snapshot),
        found: found.map(({ path, node }) => ({
          path,
          type: node.type,
          sizeBytes: node.sizeBytes,
          modified: node.mtime,
        })),
      });
    }
    return { snapshots };
  },
  render({ snapshots }, style) {
    if (snapshots.length === 0) return 'found in no snapshot';
    return snapshots
      .map(({ id, time, component, found }) => {
        const title = `snapshot ${shortId(id)} of ${component ?? 'unknown'} from ${shortTime(time, style)}: ${count(found.length, 'match', 'matches')}`;
        const lines = found.map(({ path, type, sizeBytes, modified }) => {
          const size = type === 'file' ? bytes(sizeBytes) : type;
          return `  ${size.padStart(10)}  ${shortTime(modified, style)}  ${path.replaceAll(/\p{Cc}/gu, '?')}`;
        });
        return [style.paint('bold', title), ...lines].join('\n');
      })
      .join('\n\n');
  },
  /** As with grep: nothing found is an answer that scripts want to see. */
  exitCode: ({ snapshots }) => (snapshots.length === 0 ? 4 : 0),
});
