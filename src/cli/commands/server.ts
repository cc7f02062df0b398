// `server`: keeps applications protected while nobody looks. Starts what is due, does it, receives journals, and says what happens.
import { count } from '../../base/count.ts';
import { defineCommand } from '../command.ts';
import { listArgument } from '../option.ts';
import { serviceOptions, serveUntilStopped, type ServedData } from '../serve.ts';

export const serverCommand = defineCommand({
  summary: 'Keep applications protected: schedules, jobs, journals',
  details:
    'Runs until it is stopped (Ctrl-C, SIGTERM). Jobs are processes of their own, so what it does can be done by hand; what it was at when it was killed goes on with its next start. Its state lies in the state folder, or in PostgreSQL with LIFEBOAT_DATABASE_URL, where any number of servers and workers take part. A lifeboat.yaml that changes is read again.',
  examples: ['lifeboat server', 'lifeboat server /etc/lifeboat/shop.yaml /etc/lifeboat/crm.yaml'],
  arguments: {
    configurations: listArgument('[config...]', 'lifeboat.yaml of each application; the usual one if absent'),
  },
  options: serviceOptions,
  isLong: true,
  run: (context, { configurations, ...wishes }): Promise<ServedData> =>
    serveUntilStopped(context, { ...wishes, configurations, plans: true }),
  render: ({ applications }) =>
    `stopped; ${count(applications.length, 'application')} ${applications.length === 1 ? 'is' : 'are'} not looked after now`,
});
