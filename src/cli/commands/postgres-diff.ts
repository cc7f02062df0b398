// `postgres diff`: what changed in a database between two instants of the past.
import { count } from '../../base/count.ts';
import { AppError } from '../../base/errors.ts';
import {
  parseInstantUs,
  parseLsnText,
  saysZone,
  formatInstantUs,
  type RecoveryTarget,
} from '../../model/recovery-target.ts';
import type { PastDifference, RowDifference, TableDifference } from '../../sources/explore.ts';
import { defineCommand } from '../command.ts';
import type { CommandContext } from '../context.ts';
import { listOption, parsedOption, textOption } from '../option.ts';
import { openPast, pastArguments } from '../past.ts';
import { reachedData, reachedWords, type ReachedData } from '../past-words.ts';
import { replayOptions } from '../replay-request.ts';
import { printable, type Style } from '../style.ts';

export interface PostgresDiffData extends PastDifference {
  readonly first: ReachedData;
  readonly second: ReachedData;
}

const rowsDefault = 20;
const rowsLimit = 10_000;

export const postgresDiffCommand = defineCommand({
  summary: 'Show what changed in a database between two instants of the past',
  details:
    'Brings two throw-away servers to the instants and compares all tables: rows that are only there at the first (-), only at the second (+), and changed (M), told apart by primary key. The rows themselves are shown for the tables that --table names.',
  examples: [
    'lifeboat postgres diff database --at 2026-11-20T10:15:00Z --at now',
    'lifeboat postgres diff database --at 0/3000148 --at 0/4000148 --table orders',
  ],
  arguments: pastArguments,
  options: {
    instants: listOption('--at <instant>', 'two of them: times, positions of the log, or now'),
    timeline: replayOptions.timeline,
    database: textOption('--database <name>', 'the database (default: the only one)'),
    tables: listOption('--table <name>', 'a table whose rows are shown'),
    rowsMax: parsedOption('--limit <number>', `how many rows of each are shown (default: ${rowsDefault})`, {
      expected: `a number from 1 to ${rowsLimit}`,
      parse(text) {
        const number = /^\d{1,5}$/.test(text) ? Number(text) : 0;
        return number >= 1 && number <= rowsLimit ? number : undefined;
      },
    }),
  },
  isLong: true,
  async run(
    context,
    { component, instants, timeline, database, tables, rowsMax = rowsDefault },
  ): Promise<PostgresDiffData> {
    const [one, other] = twoOf(instants).map((text) => targetOf(text, context));
    if (one === undefined || other === undefined) throw new Error('two targets');
    await using stack = new AsyncDisposableStack();
    const reading = stack.use(new AsyncDisposableStack());
    const past = reading.use(await openPast(context, { component, from: undefined }));
    const open = async (target: RecoveryTarget) => {
      const chosen = await past.choose({ target, timeline: timeline ?? { kind: 'latest' } });
      const place = stack.use(await past.makePlace());
      const server = stack.use(await past.open(place, chosen));
      return { server, reached: reachedData(chosen, server) };
    };
    const first = await open(one);
    const second = await open(other);
    await reading.disposeAsync();
    const servers = { first: first.server, second: second.server };
    const difference = await past.source.explore.compare(servers, { database, tables, rowsMax }, context.signal);
    return { first: first.reached, second: second.reached, ...difference };
  },
  render(data, style) {
    const { first, second, database, tables, structure } = data;
    const differing = tables.filter(({ state }) => state !== 'equal');
    const equal = tables.length - differing.length;
    return [
      `first    ${reachedWords(first)}`,
      `second   ${reachedWords(second)}`,
      `database ${printable(database)}`,
      ...differing.flatMap((table) => tableLines(table, style)),
      ...(structure.length === 0 ? [] : [`the definitions differ: ${structure.join(', ')}`]),
      `${count(differing.length, 'table')} with differences, ${equal} without`,
    ].join('\n');
  },
});

function twoOf(instants: readonly string[]): readonly string[] {
  if (instants.length === 2) return instants;
  throw new AppError('USAGE', `${count(instants.length, 'instant')} given, two are compared`, {
    hint: 'Give --at twice.',
  });
}

function targetOf(text: string, { progress }: CommandContext): RecoveryTarget {
  if (text === 'now') return { kind: 'end' };
  const lsn = parseLsnText(text);
  if (lsn !== undefined) return { kind: 'lsn', lsn, isInclusive: false };
  const zone = Temporal.Now.timeZoneId();
  const timeUs = parseInstantUs(text, zone);
  if (!saysZone(text))
    progress.note(`'${text}' is taken in the time zone of this machine, ${zone}: ${formatInstantUs(timeUs)}`);
  return { kind: 'time', timeUs, isInclusive: true };
}

function tableLines(difference: TableDifference, style: Style): string[] {
  const { table, state, onlyInFirst, onlyInSecond, changed, key, rows } = difference;
  const columns = [
    ...difference.columnsOnlyInFirst.map((name) => `-${name}`),
    ...difference.columnsOnlyInSecond.map((name) => `+${name}`),
  ];
  const counts = `-${onlyInFirst} +${onlyInSecond} M${changed}`;
  const notes = [
    ...(state === 'differs' ? [] : [state]),
    ...(columns.length === 0 ? [] : [`columns ${columns.join(' ')}`]),
    ...(key.length === 0 && state === 'differs' && onlyInFirst + onlyInSecond > 0 ? ['no primary key'] : []),
  ];
  const head = `${style.paint('bold', printable(table))}  ${counts}${notes.length === 0 ? '' : `  (${printable(notes.join('; '))})`}`;
  return [head, ...rows.flatMap((row) => rowLines(row, key, style))];
}

function rowLines({ first, second }: RowDifference, key: readonly string[], style: Style): string[] {
  const ordered = (row: object): string[] => [...new Set([...key, ...Object.keys(row)])];
  const values = (row: NonNullable<RowDifference['first']>, names = ordered(row)): string =>
    printable(names.map((name) => `${name}=${row[name] ?? 'NULL'}`).join(' '));
  if (first === undefined) return second === undefined ? [] : [`  ${style.paint('green', '+')} ${values(second)}`];
  if (second === undefined) return [`  ${style.paint('red', '-')} ${values(first)}`];
  const changes = Object.keys(first).filter((name) => first[name] !== second[name]);
  const told = changes.map((name) => `${name}: ${first[name] ?? 'NULL'} -> ${second[name] ?? 'NULL'}`).join(', ');
  return [`  ${style.paint('yellow', 'M')} ${values(first, [...key])}  ${printable(told)}`];
}
