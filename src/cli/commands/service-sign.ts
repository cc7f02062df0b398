// `service sign`: what a server does every few minutes: it leaves a sign in the repositories that it lives, and hears if it was replaced.
import { isAppError, messageOf } from '../../base/errors.ts';
import { noteSigned, serviceRow } from '../../catalog/service-self.ts';
import { liveWorkers } from '../../catalog/workers.ts';
import { writeSign } from '../../service/state/sign.ts';
import { defineCommand } from '../command.ts';
import { requireConfiguration } from '../component-choice.ts';
import { switchOption } from '../option.ts';
import { selfRepositories } from '../self-repositories.ts';

export interface ServiceSignData {
  readonly signed: readonly string[];
}

export const serviceSignCommand = defineCommand({
  summary: 'Tell the repositories that this server lives',
  details:
    "The server does so every five minutes. Whoever recovers its state elsewhere with 'lifeboat service recover' sees by it that it still lives.",
  examples: ['lifeboat service sign', 'lifeboat service sign --ended'],
  arguments: {},
  options: { hasEnded: switchOption('--ended', 'tell that it was stopped') },
  async run(context, { hasEnded }): Promise<ServiceSignData> {
    const { application } = await requireConfiguration(context);
    await using catalog = await context.openCatalog();
    const { service, generation } = await serviceRow(catalog);
    // Of many that share a state the others go on.
    if (hasEnded && (await liveWorkers(catalog)).length > 0) return { signed: [] };
    const signed: string[] = [];
    const failures: unknown[] = [];
    for (const settings of await selfRepositories(context, application)) {
      try {
        await using opened = await context.openRepository(settings, 'uncached');
        await writeSign(
          opened.repository,
          { service, generation, state: hasEnded ? 'ended' : 'lives' },
          context.signal,
        );
        signed.push(settings.name);
      } catch (error) {
        context.signal.throwIfAborted();
        if (!isAppError(error) || error.code === 'SERVICE_REPLACED') throw error;
        failures.push(error);
        context.progress.note(`${settings.name} has no sign of this server: ${messageOf(error)}`);
      }
    }
    if (signed.length === 0 && failures.length > 0) throw failures[0];
    await noteSigned(catalog);
    return { signed };
  },
  render: ({ signed }) => (signed.length === 0 ? 'no repository was told' : `told ${signed.join(', ')}`),
});
