// `server`: keeps applications protected while nobody looks. Starts what is due, does it, receives journals, and says what happens.
import { count } from '../../base/count.ts';
import { defineCommand } from '../command.ts';
import type { ListenAddress } from '../context.ts';
import { listArgument, parsedOption, switchOption } from '../option.ts';
import { serviceOptions, serveUntilStopped, type ServedData } from '../serve.ts';

const defaultHost = '127.0.0.1';
const defaultPort = 7411;

export const serverCommand = defineCommand({
  summary: 'Keep applications protected: schedules, jobs, journals',
  details:
    'Runs until it is stopped (Ctrl-C, SIGTERM). Jobs are processes of their own, so what it does can be done by hand; what it was at when it was killed goes on with its next start. Its state lies in the state folder, or in PostgreSQL with LIFEBOAT_DATABASE_URL, where any number of servers and workers take part. A lifeboat.yaml that changes is read again.',
  examples: ['lifeboat server', 'lifeboat server /etc/lifeboat/shop.yaml /etc/lifeboat/crm.yaml'],
  arguments: {
    configurations: listArgument('[config...]', 'lifeboat.yaml of each application; the usual one if absent'),
  },
  options: {
    ...serviceOptions,
    listen: parsedOption('--listen <address>', `where the API answers (default: ${defaultHost}:${defaultPort})`, {
      expected: 'a port, or host:port',
      parse: parseListen,
    }),
    isSilent: switchOption('--no-api', 'do not answer over HTTP'),
  },
  isLong: true,
  run(context, { configurations, listen, isSilent, ...wishes }): Promise<ServedData> {
    const address = isSilent ? undefined : (listen ?? { host: defaultHost, port: defaultPort });
    return serveUntilStopped(context, { ...wishes, configurations, plans: true, listen: address });
  },
  render: ({ applications }) =>
    `stopped; ${count(applications.length, 'application')} ${applications.length === 1 ? 'is' : 'are'} not looked after now`,
});

/** `7411`, `0.0.0.0:7411`, `[::1]:7411`. */
function parseListen(text: string): ListenAddress | undefined {
  const groups = /^(?:(?:\[(?<six>[\da-fA-F:]+)\]|(?<name>[\w.-]+)):)?(?<port>\d{1,5})$/.exec(text)?.groups;
  const port = Number(groups?.['port'] ?? NaN);
  if (!(port <= 65_535)) return undefined;
  return { host: groups?.['six'] ?? groups?.['name'] ?? defaultHost, port };
}
