// `alerts unsilence`: people are told again.
import { liftSilence } from '../../service/alert-answers.ts';
import { openAccess } from '../access-log.ts';
import type { Catalog } from '../../catalog/catalog.ts';
import { silencesAt, type SilenceRow } from '../../catalog/silences.ts';
import { defineCommand } from '../command.ts';
import { onlyOne } from '../id-ending.ts';
import { requiredArgument } from '../option.ts';

export const alertsUnsilenceCommand = defineCommand({
  summary: 'End a silence',
  examples: ['lifeboat alerts unsilence 3f2a9c01'],
  arguments: { text: requiredArgument('<silence>', 'id of a silence, or its last characters') },
  options: {},
  async run(context, { text }) {
    await using access = await openAccess(context);
    const silence = await requireSilence(access.log.catalog, text);
    await liftSilence(access.log, silence, access.actor);
    const { id, application, component, subject } = silence;
    return { id, application, component, subject };
  },
  render: ({ application, component, subject }) => `people are told of ${component ?? subject ?? application} again`,
});

/** By its id or the end of it. Rejects with `NOT_FOUND` or `AMBIGUOUS`. */
async function requireSilence(catalog: Catalog, ending: string): Promise<SilenceRow> {
  const open = await silencesAt(catalog.db, { nowMs: await catalog.nowMs() });
  const found = open.filter(({ id }) => id.endsWith(ending));
  return onlyOne(found, { text: ending, one: 'silence', several: 'silences', list: 'alerts silences' });
}
