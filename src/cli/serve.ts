// What `server` and `worker` share: they run until they are told to stop.
import { z } from 'zod';
import { count } from '../base/count.ts';
import { AppError } from '../base/errors.ts';
import { labelSchema } from '../model/component.ts';
import { serverLabel } from '../model/job.ts';
import { typed } from './access-log.ts';
import type { CommandContext, ServiceWishes } from './context.ts';
import { listOption, parsedOption } from './option.ts';

export interface ServedData {
  readonly worker: string;
  readonly applications: readonly string[];
}

const runsMaxDefault = 2;

export const serviceOptions = {
  labels: listOption('--label <label>', 'what jobs may ask of their worker, such as host=db-1'),
  jobs: parsedOption('--jobs <count>', `how many jobs at once (default: ${runsMaxDefault})`, {
    expected: 'a whole number from 1 to 64',
    parse: (text) => (/^(?:[1-9]|[1-5]\d|6[0-4])$/.test(text) ? Number(text) : undefined),
  }),
};

export async function serveUntilStopped(
  context: CommandContext,
  { jobs, labels, ...wishes }: Omit<ServiceWishes, 'runsMax'> & { readonly jobs: number | undefined },
): Promise<ServedData> {
  const { signal, progress } = context;
  const known = typed(z.array(labelSchema), labels, '--label');
  if (known.includes(serverLabel) && !wishes.plans) {
    throw new AppError(
      'USAGE',
      `${serverLabel} is the label of servers: their state is backed up where their files lie`,
      {
        hint: "Leave it out, or start 'lifeboat server' here.",
      },
    );
  }
  await using service = await context.startService({ ...wishes, labels: known, runsMax: jobs ?? runsMaxDefault });
  const { workerId, applications, address, replaced } = service;
  const names = applications.length === 0 ? '' : ` (${applications.join(', ')})`;
  const what = `${count(applications.length, 'application')}${names}`;
  progress.note(`${wishes.plans ? 'server' : 'worker'} is ready: ${what}`);
  if (address !== undefined) progress.note(`the API answers at ${address}`);
  const replacement = await Promise.race([stopped(signal), replaced]);
  if (replacement !== undefined) throw replacement;
  progress.note('stopping: what is being done goes on with the next start');
  return { worker: workerId, applications };
}

function stopped(signal: AbortSignal): Promise<undefined> {
  if (signal.aborted) return Promise.resolve(undefined);
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(undefined), { once: true }));
}
