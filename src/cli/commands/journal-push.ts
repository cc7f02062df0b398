// `journal push`: what a server's archive_command runs. Opens no repository: the server waits for it.
import { resolve } from 'node:path';
import { AppError } from '../../base/errors.ts';
import { defineCommand } from '../command.ts';
import type { CommandContext } from '../context.ts';
import { failureOf, failureText, type Failure } from '../failure.ts';
import { requireJournal } from '../journal-subject.ts';
import { requiredArgument } from '../option.ts';
import type { Style } from '../style.ts';

export interface JournalPushData {
  readonly file: string;
  /** `known`: the same bytes came before. */
  readonly outcome: 'kept' | 'known' | 'refused';
  readonly failure?: Omit<Failure, 'stack'> | undefined;
}

export const journalPushCommand = defineCommand({
  summary: "Take a file from a server's archive_command",
  details:
    "In lifeboat.yaml `journal: { from: push }` for the component, and in postgresql.conf: archive_mode = on, archive_command = 'lifeboat journal push database %p --config /etc/lifeboat.yaml || exit 1'. The file is durable in the folder `incoming` of the component when this ends with 0; `lifeboat journal run`, which may be another user, takes it from there to the repositories. The same file twice is fine; other bytes under the same name, or a file of another server, are refused. Exit code 1 for everything that goes wrong, so that the server keeps the file and tries again.",
  examples: ['lifeboat journal push database pg_wal/000000010000000000000003'],
  arguments: {
    component: requiredArgument('<component>', 'a component of lifeboat.yaml'),
    path: requiredArgument('<path>', '%p of archive_command'),
  },
  options: {},
  async run(context, { component, path }): Promise<JournalPushData> {
    try {
      return { file: path, outcome: await push(context, component, path) };
    } catch (error) {
      // The server reads anything above 125 as a reason to start its archiver anew, and does not count it.
      const { code, message, hint } = failureOf(error);
      return { file: path, outcome: 'refused', failure: { code, message, hint, exitCode: refusedExitCode } };
    }
  },
  render: ({ failure }: JournalPushData, style: Style) => (failure === undefined ? '' : failureText(failure, style)),
  exitCode: ({ outcome }) => (outcome === 'refused' ? refusedExitCode : 0),
});

const refusedExitCode = 1;

async function push(context: CommandContext, component: string, path: string): Promise<'kept' | 'known'> {
  const { source, settings, incomingFolder } = await requireJournal(context, component);
  if (source.handover === undefined || settings.from !== 'push') {
    throw new AppError('USAGE', `nobody takes what is pushed for ${component}: its changes come by streaming`, {
      hint: 'Write `journal: { from: push }` for it in lifeboat.yaml, and start its receiver again; or switch archive_command off.',
    });
  }
  return source.handover.accept(resolve(context.workingFolder, path), incomingFolder);
}
