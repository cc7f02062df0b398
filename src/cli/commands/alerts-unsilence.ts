// `alerts unsilence`: people are told again.
import { liftSilence } from '../../service/alert-answers.ts';
import { openAccess } from '../access-log.ts';
import type { Catalog } from '../../catalog/catalog.ts';
import { silencesAt, type SilenceRow } from '../../catalog/silences.ts';
import { AppError } from '../../base/errors.ts';
import { count } from '../../base/count.ts';
import { defineCommand } from '../command.ts';
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
  const fitting = open.filter(({ id }) => id.endsWith(ending));
  const [found] = fitting;
  if (found !== undefined && fitting.length === 1) return found;
  const code = found === undefined ? 'NOT_FOUND' : 'AMBIGUOUS';
  throw new AppError(code, `'${ending}' fits ${count(fitting.length, 'silence')}`, {
    hint: "Give an id as 'lifeboat alerts silences' shows them.",
  });
}
