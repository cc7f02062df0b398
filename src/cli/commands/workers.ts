// `workers`: who does the jobs of the service, with which labels, and which receivers run where.
import { shortEnding } from '../id-ending.ts';
import { z } from 'zod';
import { isoTime, maybeIsoTime } from '../../base/iso-time.ts';
import { leasesWith, type LeaseRow } from '../../catalog/leases.ts';
import { labelsIn, liveWorkers } from '../../catalog/workers.ts';
import { defineCommand } from '../command.ts';
import { ageWords, type Style } from '../style.ts';
import { table } from '../table.ts';

export interface WorkersData {
  readonly workers: readonly {
    readonly id: string;
    readonly name: string;
    readonly labels: readonly string[];
    readonly version: string;
    readonly startedAt: string;
    readonly seenAt: string;
  }[];
  readonly receivers: readonly {
    /** Application and component. */
    readonly of: string;
    /** Id of a worker; absent where nobody receives. */
    readonly worker: string | undefined;
    /** What it told last, and when. */
    readonly told: string | undefined;
    readonly toldAt: string | undefined;
  }[];
}

const receiverPrefix = 'journal/';

export const workersCommand = defineCommand({
  summary: 'Show who does the jobs of the service, and where journals are received',
  examples: ['lifeboat workers', 'lifeboat workers --json'],
  arguments: {},
  options: {},
  async run(context): Promise<WorkersData> {
    await using catalog = await context.openCatalog();
    const nowMs = await catalog.nowMs();
    const workers = await liveWorkers(catalog);
    const leases = await leasesWith(catalog, receiverPrefix);
    return {
      workers: workers.map(({ id, name, labels, version, startedAtMs, seenAtMs }) => ({
        id,
        name,
        labels: labelsIn(labels),
        version,
        startedAt: isoTime(startedAtMs),
        seenAt: isoTime(seenAtMs),
      })),
      receivers: leases.map((lease) => receiverOf(lease, nowMs)),
    };
  },
  render: renderWorkers,
});

const toldSchema = z.object({ work: z.string().optional(), detail: z.string().optional() });

function receiverOf(
  { name, holder, untilMs, told, toldAtMs }: LeaseRow,
  nowMs: number,
): WorkersData['receivers'][number] {
  const words = told === null ? undefined : toldSchema.safeParse(JSON.parse(told)).data;
  return {
    of: name.slice(receiverPrefix.length),
    worker: untilMs > nowMs ? (holder ?? undefined) : undefined,
    told: words?.detail ?? words?.work,
    toldAt: maybeIsoTime(toldAtMs),
  };
}

function renderWorkers({ workers, receivers }: WorkersData, style: Style): string {
  if (workers.length === 0) return "no worker was heard of lately; 'lifeboat server' starts one";
  const columns = [
    { title: 'Worker' },
    { title: 'On', shrinksTo: 10 },
    { title: 'Labels', shrinksTo: 10 },
    { title: 'Version' },
    { title: 'Started' },
    { title: 'Heard of' },
  ];
  const rows = workers.map(({ id, name, labels, version, startedAt, seenAt }) => [
    shortEnding(id),
    name,
    labels.join(', '),
    version,
    ageWords(startedAt, style),
    ageWords(seenAt, style),
  ]);
  const parts = [table(columns, rows, style)];
  if (receivers.length > 0) {
    const lines = receivers.map(({ of, worker, told, toldAt }) => [
      of,
      worker === undefined ? style.paint('yellow', 'nobody') : shortEnding(worker),
      toldAt === undefined ? '' : `${ageWords(toldAt, style)}${told === undefined ? '' : `: ${told}`}`,
    ]);
    const titles = [{ title: 'Journal of', shrinksTo: 12 }, { title: 'Worker' }, { title: 'Told', shrinksTo: 20 }];
    parts.push(table(titles, lines, style));
  }
  return parts.join('\n\n');
}
