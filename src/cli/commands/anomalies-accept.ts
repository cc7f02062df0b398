// `anomalies accept`: a person says that an odd backup is as it should be, so that old ones may go again.
import { count } from '../../base/count.ts';
import { AppError } from '../../base/errors.ts';
import { isoTime } from '../../base/iso-time.ts';
import { loadSnapshots } from '../../repository/snapshot.ts';
import { machineActor, openAccessAtHand } from '../access-log.ts';
import { appendAudit } from '../../access/audit-log.ts';
import { acceptAnomaly, loadAnomalies, openAnomalies, type Anomaly } from '../anomaly-notes.ts';
import { defineCommand } from '../command.ts';
import { listArgument, textOption } from '../option.ts';
import { shortId } from '../style.ts';

interface Accepted {
  readonly snapshot: string;
  readonly component: string;
  readonly repository: string;
}

export interface AnomaliesAcceptData {
  readonly accepted: readonly Accepted[];
}

export const anomaliesAcceptCommand = defineCommand({
  summary: 'Say that an odd backup is as it should be',
  details:
    'Then what the policies no longer keep of its component is removed again. It is kept in the repository who said so, and in the audit log where there is one.',
  examples: ['lifeboat anomalies accept 46c536f7', 'lifeboat anomalies accept --component uploads'],
  arguments: { words: listArgument('[snapshot...]', 'first digits of ids, as `anomalies list` shows them') },
  options: {
    component: textOption('--component <name>', 'all open ones of this component'),
    by: textOption('--by <name>', 'who says so; you if absent'),
  },
  async run(context, { words, component, by = machineActor().id }): Promise<AnomaliesAcceptData> {
    if ((words.length === 0) === (component === undefined)) {
      throw new AppError('USAGE', 'give either snapshots or --component', {
        hint: "'lifeboat anomalies list' shows what is open.",
      });
    }
    const { signal, clock } = context;
    const isMeant = (one: Anomaly): boolean =>
      component === undefined ? words.some((word) => one.snapshot.startsWith(word)) : one.component === component;
    const application = (await context.findConfiguration())?.application.name;
    await using access = context.isOfServer ? undefined : await openAccessAtHand(context);
    const accepted: Accepted[] = [];
    for (const settings of await context.chosenRepositories()) {
      await using opened = await context.openRepository(settings, 'write', 'newest');
      const { repository } = opened;
      const { anomalies } = await loadAnomalies(repository, signal);
      for (const one of openAnomalies(anomalies, await loadSnapshots(repository, signal)).filter(isMeant)) {
        const { tree, snapshot, component: name } = one;
        if (access !== undefined) {
          const details = { by, component: name, repository: settings.name };
          const record = { actor: access.actor, action: 'anomaly.accepted', application, target: snapshot, details };
          await appendAudit(access.log, record);
        }
        await acceptAnomaly(repository, { tree, time: isoTime(clock.now()), by }, signal);
        accepted.push({ snapshot, component: name, repository: settings.name });
      }
    }
    const missing = words.find((word) => !accepted.some(({ snapshot }) => snapshot.startsWith(word)));
    if (missing !== undefined || accepted.length === 0) {
      throw new AppError('NOT_FOUND', `no odd backup is open for ${missing ?? component ?? ''}`, {
        hint: "'lifeboat anomalies list' shows what is open.",
      });
    }
    return { accepted };
  },
  render: ({ accepted }) =>
    [
      `accepted ${count(accepted.length, 'backup')}`,
      ...accepted.map(
        ({ snapshot, component, repository }) => `  ${shortId(snapshot)} of ${component} in ${repository}`,
      ),
    ].join('\n'),
});
