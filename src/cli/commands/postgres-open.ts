// `postgres open`: a throw-away server that stands at an instant of the past, to look around in.
import { AppError } from '../../base/errors.ts';
import { durationForm, formatDuration, parseDuration } from '../../base/duration.ts';
import { measureWords } from '../../model/sentinel.ts';
import type { PastServer } from '../../sources/explore.ts';
import { defineCommand } from '../command.ts';
import type { CommandContext } from '../context.ts';
import { parsedOption, textOption } from '../option.ts';
import { measuredRpo, type MeasuredRpo } from '../measured-rpo.ts';
import { instantOptions, openInstant, pastArguments } from '../past.ts';
import { psqlLine, reachedWords, type ReachedData } from '../past-words.ts';
import { elapsedWords, printable } from '../style.ts';
import { toJson } from '../terminal.ts';

export interface OpenData {
  readonly reached: ReachedData;
  /** What is lost there, where sentinels are written. */
  readonly measured: MeasuredRpo | undefined;
  readonly openMs: number;
  readonly elapsedMs: number;
}

const stayMaxMs = 7 * 86_400_000;

export const postgresOpenCommand = defineCommand({
  summary: 'Open a server at an instant of the past, to look around in',
  details:
    'Brings a throw-away server of this machine to the instant, lets nobody change anything in it, prints how to connect, and stays until Ctrl-C, or as long as --for says. Then the server and all its files are gone. Without an instant it is that of the newest backup. The server is a copy of production on a private socket; the port on loopback asks for a password that is made for it and lies in a file for you alone.',
  examples: [
    'lifeboat postgres open database --at 2026-11-20T10:15:00+01:00',
    'lifeboat postgres open database --restore-point before-migration --for 30m',
    'lifeboat postgres open database --at-end --json',
  ],
  arguments: pastArguments,
  options: {
    ...instantOptions,
    database: textOption('--database <name>', 'the database that the printed line names (default: the first one)'),
    stayMs: parsedOption('--for <duration>', 'how long it stays (default: until Ctrl-C)', {
      expected: `${durationForm}, at most 7d`,
      parse(text) {
        const ms = parseDuration(text);
        return ms !== undefined && ms > 0 && ms <= stayMaxMs ? ms : undefined;
      },
    }),
  },
  isLong: true,
  async run(context, input): Promise<OpenData> {
    const startMs = context.clock.now();
    await using opened = await openInstant(context, input);
    const { server, reached, source, instant } = opened;
    const sentinelMs = await source.explore.newestSentinel(server, context.signal);
    const measured = measuredRpo({ ...instant, sentinelMs, nowMs: startMs });
    const openMs = context.clock.now();
    await tell(context, {
      server,
      reached,
      measured,
      database: databaseOf(server, input.database),
      stayMs: input.stayMs,
    });
    await stay(server, input.stayMs, context.signal);
    return { reached, measured, openMs: openMs - startMs, elapsedMs: context.clock.now() - startMs };
  },
  render: ({ elapsedMs }) => `closed after ${elapsedWords(elapsedMs)}; nothing of it is left`,
});

function databaseOf({ databases }: PastServer, named: string | undefined): string {
  // `postgres` is in every server, and nobody means it who does not name it.
  if (named === undefined) return databases.find((one) => one !== 'postgres') ?? 'postgres';
  if (databases.includes(named)) return named;
  throw new AppError('NOT_FOUND', `there was no database '${named}' at that instant`, {
    hint: `Name one of ${databases.join(', ')}.`,
  });
}

interface Told {
  readonly server: PastServer;
  readonly reached: ReachedData;
  readonly measured: MeasuredRpo | undefined;
  readonly database: string;
  readonly stayMs: number | undefined;
}

async function tell(context: CommandContext, { server, reached, measured, database, stayMs }: Told): Promise<void> {
  const door = await server.listen();
  const line = psqlLine(door, database);
  const { host, port, user, passwordFile } = door;
  if (context.settings.isJson) {
    const { databases, description } = server;
    const connection = { host, port, user, database, passwordFile, line };
    const message = { message_type: 'server', description, reached, measured, connection, databases, stayMs };
    context.stdout.write(`${toJson(message)}\n`);
    return;
  }
  const until = stayMs === undefined ? 'until Ctrl-C' : `for ${formatDuration(stayMs)}, or until Ctrl-C`;
  const lines = [
    `${server.description} stands at ${reachedWords(reached)}`,
    ...(measured === undefined ? [] : [measureWords(measured, measured.against)]),
    `databases: ${server.databases.join(', ')}`,
    `it can be read ${until}:`,
    line,
  ];
  context.stdout.write(`${lines.map(printable).join('\n')}\n`);
}

/** Until the time is over or somebody wants it to end; rejects if the server ends before. */
async function stay(server: PastServer, stayMs: number | undefined, signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<undefined>();
  const timer = stayMs === undefined ? undefined : setTimeout(() => resolve(undefined), stayMs);
  const end = (): void => resolve(undefined);
  for (const one of [signal, server.signal]) one.addEventListener('abort', end, { once: true });
  if (!signal.aborted && !server.signal.aborted) await promise;
  clearTimeout(timer);
  if (!signal.aborted) server.signal.throwIfAborted();
}
