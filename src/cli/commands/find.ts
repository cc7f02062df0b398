// `find`: which snapshots hold a file, by name or pattern.
import { count } from '../../base/count.ts';
import { componentOf } from '../../operations/restore/select-point.ts';
import { findPaths, type FoundInSnapshot } from '../../repository/find.ts';
import { loadIndex } from '../../repository/load-index.ts';
import { defineCommand } from '../command.ts';
import { listArgument, switchOption, textOption } from '../option.ts';
import { exitCodeOf, noteUnread, PointSearch, type UnreadRepository } from '../point-search.ts';
import { bytes, printable, shortId, shortTime, visiblePath } from '../style.ts';
import { isOfSeveral } from '../whose.ts';

interface FoundSnapshot {
  readonly id: string;
  readonly time: string;
  readonly component: string | undefined;
  /** The application whose it is, or the host where restic took it. */
  readonly host: string;
  readonly repository: string;
  readonly found: readonly {
    readonly path: string;
    readonly type: string;
    readonly sizeBytes: number;
    readonly modified: string;
  }[];
}

export interface FindData {
  /** Whose configuration this is: of others it is said whose they are. */
  readonly application: string | undefined;
  readonly snapshots: readonly FoundSnapshot[];
  /** Those that were looked through, and those that could not be. */
  readonly repositories: readonly string[];
  readonly unread: readonly UnreadRepository[];
}

export const findCommand = defineCommand({
  summary: 'Find files in snapshots',
  details:
    'Looks through all repositories, or that of --repository. One that cannot be read is told; the exit code is then 3. A pattern without a slash fits names at any depth; * stands for anything within a name, ** for any folders.',
  examples: [
    "lifeboat find '*.pdf'",
    'lifeboat find invoice-2026-11.pdf --component uploads',
    "lifeboat find '/srv/**/config.yml' --ignore-case",
  ],
  arguments: { patterns: listArgument('<pattern...>', 'names or patterns') },
  options: {
    component: textOption('--component <name>', 'only snapshots of this component'),
    host: textOption('--host <name>', 'only those of this application or host'),
    ignoreCase: switchOption('-i, --ignore-case', 'upper and lower case are the same'),
  },
  async run(context, { patterns, component, host, ignoreCase }): Promise<FindData> {
    const { signal } = context;
    await using search = new PointSearch(context, 'read');
    const repositories = await search.repositories();
    noteUnread(search.unread, context);
    const snapshots: FoundSnapshot[] = [];
    for (const { opened, snapshots: all } of repositories) {
      const { repository, settings } = opened;
      const chosen = all.filter(
        (snapshot) =>
          (component === undefined || componentOf(snapshot) === component) &&
          (host === undefined || snapshot.hostname === host),
      );
      const indexed = { repository, index: await loadIndex(repository, signal) };
      for await (const found of findPaths(indexed, chosen, { patterns, ignoreCase, signal })) {
        snapshots.push(describe(found, settings.name));
      }
    }
    return {
      application: (await context.findConfiguration())?.application.name,
      snapshots,
      repositories: repositories.map(({ opened }) => opened.settings.name),
      unread: search.unread,
    };
  },
  render({ application = [], snapshots, repositories }, style) {
    if (snapshots.length === 0) return 'found in no snapshot';
    const isNamed = isOfSeveral(snapshots.map(({ host }) => host).concat(application), []);
    return snapshots
      .map(({ id, time, component, host, repository, found }) => {
        const where = repositories.length > 1 ? ` in ${repository}` : '';
        const title = `snapshot ${shortId(id)} of ${isNamed ? `${printable(host)}/` : ''}${component ?? 'unknown'} from ${shortTime(time, style)}${where}: ${count(found.length, 'match', 'matches')}`;
        const lines = found.map(({ path, type, sizeBytes, modified }) => {
          const size = type === 'file' ? bytes(sizeBytes) : type;
          return `  ${size.padStart(10)}  ${shortTime(modified, style)}  ${visiblePath(path)}`;
        });
        return [style.paint('bold', title), ...lines].join('\n');
      })
      .join('\n\n');
  },
  /** As with grep: nothing found is an answer that scripts want to see. */
  exitCode: ({ snapshots, unread }) => (snapshots.length === 0 ? 4 : exitCodeOf(unread)),
});

function describe({ snapshot, found }: FoundInSnapshot, repository: string): FoundSnapshot {
  return {
    id: snapshot.id,
    time: snapshot.time,
    component: componentOf(snapshot),
    host: snapshot.hostname,
    repository,
    found: found.map(({ path, node }) => ({
      path,
      type: node.type,
      sizeBytes: node.sizeBytes,
      modified: node.mtime,
    })),
  };
}
