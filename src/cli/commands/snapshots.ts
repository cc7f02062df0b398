// `snapshots`: lists what there is to restore, newest last.
import { count } from '../../base/count.ts';
import { monthAt, type Month } from '../../model/archive.ts';
import { newestProofs, type Proof } from '../../model/proof.ts';
import { verifiedTrees, type Verified } from '../../model/verification.ts';
import type { StoredSnapshot } from '../../repository/snapshot.ts';
import { defineCommand } from '../command.ts';
import type { CommandContext, OpenedRepository } from '../context.ts';
import { listOption, parsedOption, textOption } from '../option.ts';
import { loadProofs } from '../proofs.ts';
import { readableSnapshots } from '../readable-snapshots.ts';
import { loadVerifications } from '../verifications.ts';
import { componentOf } from '../../operations/restore/select-point.ts';
import { summaryNumber } from '../../repository/snapshot-summary.ts';
import { bytes, printable, shortId, shortTime, wrap } from '../style.ts';
import { table } from '../table.ts';
import { isOfSeveral } from '../whose.ts';

interface ListedSnapshot {
  readonly id: string;
  readonly time: string;
  readonly component: string | undefined;
  readonly host: string;
  readonly paths: readonly string[];
  readonly tags: readonly string[];
  readonly description: string | undefined;
  readonly sizeBytes: number | undefined;
  readonly storedBytes: number | undefined;
  readonly tree: string;
  /** The newest of this tree. */
  readonly proof: Pick<Proof, 'outcome' | 'time'> | undefined;
  /** Newest first. */
  readonly verifications: readonly Verified[];
}

export interface SnapshotList {
  /** Whose configuration this is: of others it is said whose they are. */
  readonly application?: string | undefined;
  readonly repositories: readonly {
    readonly name: string;
    readonly location: string;
    /** Of an archive: the month that these are of, and the one before it that holds a backup. */
    readonly month?:
      | { readonly shown: Month; readonly isOver: boolean; readonly before: Month | undefined }
      | undefined;
    readonly snapshots: readonly ListedSnapshot[];
  }[];
}

export const snapshotsCommand = defineCommand({
  summary: 'List snapshots, newest last',
  examples: [
    'lifeboat snapshots',
    'lifeboat snapshots --component database --last 5',
    'lifeboat snapshots --repository /srv/repo --password-file ./password',
  ],
  arguments: {},
  options: {
    component: textOption('--component <name>', 'only those of this component'),
    host: textOption('--host <name>', 'only those of this application or host'),
    tags: listOption('--tag <tag>', 'only those that carry all these tags'),
    last: parsedOption('--last <count>', 'only the newest', {
      expected: 'a whole number above 0',
      parse: (text) => (/^[1-9]\d{0,8}$/.test(text) ? Number(text) : undefined),
    }),
  },
  async run(context, { component, host, tags, last }): Promise<SnapshotList> {
    const application = (await context.findConfiguration())?.application.name;
    const repositories = [];
    for (const settings of await context.chosenRepositories()) {
      await using opened = await context.openRepository(settings, 'read');
      const all = await readableSnapshots(opened.repository, context);
      const fitting = all.filter(
        (snapshot) =>
          (component === undefined || componentOf(snapshot) === component) &&
          (host === undefined || snapshot.hostname === host) &&
          tags.every((tag) => snapshot.tags.includes(tag)),
      );
      const known = {
        proofs: newestProofs((await loadProofs(opened.repository, context.signal)).proofs),
        verified: verifiedTrees(await loadVerifications(opened.repository, context.signal)),
      };
      repositories.push({
        name: settings.name,
        location: opened.repository.store.properties.location,
        month: await shownMonth(opened, context),
        snapshots: fitting.slice(last === undefined ? 0 : -last).map((snapshot) => listed(snapshot, known)),
      });
    }
    return { application, repositories };
  },
  render({ application = [], repositories }, style) {
    return repositories
      .map(({ name, month, snapshots }) => {
        const title = repositories.length > 1 ? `${style.paint('bold', `repository ${name}`)}\n` : '';
        if (snapshots.length === 0) return `${title}no snapshots`;
        const isNamed = isOfSeveral(snapshots.map(({ host }) => host).concat(application), []);
        const rows = snapshots.map(({ id, time, host, component, sizeBytes, tags, paths, description }) => [
          shortId(id),
          shortTime(time, style),
          ...(isNamed ? [printable(host)] : []),
          component ?? '',
          sizeBytes === undefined ? '' : bytes(sizeBytes),
          whatOf({ tags, paths, description }),
        ]);
        const columns = [
          { title: 'ID' },
          { title: 'Time' },
          ...(isNamed ? [{ title: 'Of', shrinksTo: 10 }] : []),
          { title: 'Component', shrinksTo: 10 },
          { title: 'Size', align: 'right' as const },
          { title: 'What', shrinksTo: 12 },
        ];
        const end = month === undefined ? [] : wrap(monthWords(name, month), style.widthColumns);
        return [`${title}${table(columns, rows, style)}`, count(snapshots.length, 'snapshot'), ...end].join('\n');
      })
      .join('\n\n');
  },
});

type ShownMonth = NonNullable<SnapshotList['repositories'][number]['month']>;

async function shownMonth(
  { settings, month }: OpenedRepository,
  context: CommandContext,
): Promise<ShownMonth | undefined> {
  if (month === undefined) return undefined;
  let before: Month | undefined;
  for await (const each of context.monthsHolding(settings)) {
    if (each >= month) continue;
    before = each;
    break;
  }
  return { shown: month, isOver: month !== monthAt(context.clock.now()), before };
}

/** A month that is not over may lack what will be copied into it. */
function monthWords(archive: string, { shown, isOver, before }: ShownMonth): string {
  const state = isOver ? '' : ', to which copies come until it is over';
  const older = before === undefined ? '' : `; before it -r ${archive}/${before}`;
  return `of month ${shown}${state}${older}`;
}

function whatOf({ description, tags, paths }: Pick<ListedSnapshot, 'description' | 'tags' | 'paths'>): string {
  const ownTags = tags.filter((tag) => !tag.startsWith('component='));
  const labels = ownTags.length === 0 ? '' : ` [${ownTags.join(', ')}]`;
  return printable(`${description ?? paths.join(', ')}${labels}`);
}

function listed(
  snapshot: StoredSnapshot,
  {
    proofs,
    verified,
  }: { readonly proofs: ReadonlyMap<string, Proof>; readonly verified: ReadonlyMap<string, readonly Verified[]> },
): ListedSnapshot {
  const { id, time, hostname: host, paths, tags, description, tree } = snapshot;
  const proof = proofs.get(tree);
  return {
    id,
    time,
    component: componentOf(snapshot),
    host,
    paths,
    tags,
    description,
    sizeBytes: summaryNumber(snapshot, 'total_bytes_processed'),
    storedBytes: summaryNumber(snapshot, 'data_added_packed'),
    tree,
    proof: proof && { outcome: proof.outcome, time: proof.time },
    verifications: verified.get(tree) ?? [],
  };
}
