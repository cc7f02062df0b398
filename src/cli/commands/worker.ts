// `worker`: does what a server elsewhere plans, where its data is: on the machine that carries the labels.
import { AppError } from '../../base/errors.ts';
import { defineCommand } from '../command.ts';
import { listArgument } from '../option.ts';
import { serviceOptions, serveUntilStopped, type ServedData } from '../serve.ts';

export const workerCommand = defineCommand({
  summary: 'Do the jobs that a server plans, on this machine',
  details:
    'Takes jobs out of the state in LIFEBOAT_DATABASE_URL whose labels it carries, and receives journals, as servers have configured them there; it needs no lifeboat.yaml. Runs until it is stopped; what it was at goes on in another worker. Passwords of repositories and servers come from this machine.',
  examples: ['lifeboat worker --label host=db-1'],
  arguments: {
    configurations: listArgument(
      '[config...]',
      'lifeboat.yaml of each application; what servers have in force if absent',
    ),
  },
  options: serviceOptions,
  isLong: true,
  run(context, { configurations, ...wishes }): Promise<ServedData> {
    if (!context.named.hasDatabase) {
      throw new AppError('USAGE', 'a worker shares its state with a server, and LIFEBOAT_DATABASE_URL is not set', {
        hint: "Set it to the PostgreSQL database of the server; 'lifeboat server' alone plans and works.",
      });
    }
    return serveUntilStopped(context, { ...wishes, configurations, plans: false, listen: undefined });
  },
  render: () => 'stopped',
});
