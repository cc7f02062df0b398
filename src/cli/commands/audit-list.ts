// `audit list`: who did what, newest last.
import { auditView, type AuditView } from '../../access/views.ts';
import { durationForm, parseDuration } from '../../base/duration.ts';
import { auditEntries } from '../../catalog/audit-entries.ts';
import { openAccess } from '../access-log.ts';
import { defineCommand } from '../command.ts';
import { listOption, parsedOption, textOption } from '../option.ts';
import { printable, shortTime } from '../style.ts';
import { table } from '../table.ts';

const limitDefault = 50;

export interface AuditList {
  readonly entries: readonly AuditView[];
}

export const auditListCommand = defineCommand({
  summary: 'List who did what, newest last',
  examples: [
    'lifeboat audit list',
    'lifeboat audit list --actor alice --since 7d',
    'lifeboat audit list --action session.started --last 200 --json',
  ],
  arguments: {},
  options: {
    actor: textOption('--actor <name>', 'only what this user, token or account of a machine did'),
    action: textOption('--action <action>', 'only this, such as token.created'),
    target: textOption('--target <id>', 'only what was done to this'),
    applications: listOption('--application <name>', 'only what concerned this application'),
    since: parsedOption('--since <duration>', 'only what is younger', { expected: durationForm, parse: parseDuration }),
    last: parsedOption('--last <count>', `only the newest; ${limitDefault} if absent`, {
      expected: 'a whole number from 1 to 10000',
      parse: (text) => (/^(?:[1-9]\d{0,3}|10000)$/.test(text) ? Number(text) : undefined),
    }),
  },
  async run(context, { actor, action, target, applications, since, last = limitDefault }): Promise<AuditList> {
    await using access = await openAccess(context);
    const { catalog } = access.log;
    const rows = await auditEntries(catalog, {
      actor,
      action,
      target,
      applications: applications.length === 0 ? undefined : applications,
      sinceMs: since === undefined ? undefined : (await catalog.nowMs()) - since,
      limit: last,
    });
    return { entries: rows.toReversed().map(auditView) };
  },
  render({ entries }, style) {
    if (entries.length === 0) return 'no entries';
    const columns = [
      { title: 'No.', align: 'right' as const },
      { title: 'Time' },
      { title: 'Who', shrinksTo: 10 },
      { title: 'What' },
      { title: 'To', shrinksTo: 12 },
    ];
    const rows = entries.map(({ number, at, actor, address, action, outcome, target, application }) => [
      String(number),
      shortTime(at, style),
      printable([actor.name, address].filter(Boolean).join(' from ')),
      outcome === 'done' ? action : `${action} ${style.paint('yellow', outcome)}`,
      printable([target, application].filter(Boolean).join(' of ')),
    ]);
    return table(columns, rows, style);
  },
});
