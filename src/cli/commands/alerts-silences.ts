// `alerts silences`: of what nobody is told at the moment, and why.
import { shortEnding } from '../id-ending.ts';
import { silencesAt, type SilenceRow } from '../../catalog/silences.ts';
import { applicationsSeen } from '../../catalog/standings.ts';
import { defineCommand } from '../command.ts';
import { shortTimeAt } from '../style.ts';
import { table } from '../table.ts';
import { isOfSeveral } from '../whose.ts';

export interface AlertsSilencesData {
  readonly silences: readonly SilenceRow[];
  /** That a server has looked at. */
  readonly applications: readonly string[];
}

export const alertsSilencesCommand = defineCommand({
  summary: 'List what nobody is told of at the moment',
  examples: ['lifeboat alerts silences'],
  arguments: {},
  options: {},
  async run(context): Promise<AlertsSilencesData> {
    await using catalog = await context.openCatalog();
    const silences = await silencesAt(catalog.db, { nowMs: await catalog.nowMs() });
    return { silences, applications: await applicationsSeen(catalog) };
  },
  render({ silences, applications }, style) {
    if (silences.length === 0) return 'no silences';
    const columns = [
      { title: 'Silence' },
      { title: 'Of', shrinksTo: 16 },
      { title: 'Until' },
      { title: 'By', shrinksTo: 8 },
      { title: 'Why', shrinksTo: 16 },
    ];
    const isNamed = isOfSeveral(applications, silences);
    const rows = silences.map(({ id, application, component, subject, untilMs, byPerson, reason }) => {
      const what = component ?? subject;
      const name = isNamed && what !== null ? `${application}/${what}` : (what ?? application);
      return [shortEnding(id), name, shortTimeAt(untilMs, style), byPerson, reason ?? ''];
    });
    return table(columns, rows, style);
  },
});
