// A worker's process that does nothing but run one job: to be killed.
import { runJob, type JobCommand } from '../../src/service/job-process.ts';
import { noSignal } from './repository.ts';

const [command] = process.argv.slice(2);
if (command !== undefined) {
  const events = { onNote: () => undefined, onStatus: () => undefined };
  await runJob(JSON.parse(command) as JobCommand, events, noSignal);
}
