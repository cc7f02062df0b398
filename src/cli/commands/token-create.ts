// `token create`: a key for a program. It is printed once.
import { actions, everywhere, refuseBeyondRole } from '../../access/permissions.ts';
import { roles } from '../../model/role.ts';
import { applicationsSchema, lineSchema, scopesSchema } from '../../access/schemas.ts';
import { createToken } from '../../access/tokens.ts';
import { tokenView, type TokenView } from '../../access/views.ts';
import { dayMs, durationForm, parseDuration } from '../../base/duration.ts';
import { applicationsSeen } from '../../catalog/standings.ts';
import { applicationsOrAll, applicationsWords, openAccess, typed } from '../access-log.ts';
import { defineCommand } from '../command.ts';
import { choiceOption, listOption, parsedOption, requiredArgument } from '../option.ts';
import { shortTime, wrap } from '../style.ts';

const lifeMs = 90 * dayMs;
const forEver = 'never';

export interface CreatedToken {
  readonly token: string;
  readonly record: TokenView;
  /** Of its applications those that no server has looked at, though one has looked at others: mistyped, mostly. */
  readonly unseen: readonly string[];
}

export const tokenCreateCommand = defineCommand({
  summary: 'Create a token for a program that uses the API',
  details: `The token is printed once and stored nowhere: only its hash is. Actions for --scope: ${actions.join(', ')}.`,
  examples: [
    'lifeboat token create grafana',
    'lifeboat token create deploy --role operator --application shop',
    'lifeboat token create nightly --role operator --scope run.start --expires 365d',
  ],
  arguments: { name: requiredArgument('<name>', 'what it is for') },
  options: {
    role: choiceOption('--role <role>', 'what it may do; viewer if absent', roles),
    applications: listOption('--application <name>', 'an application that it is for, all if absent'),
    scopes: listOption('--scope <action>', 'an action it is for, all that the role allows if absent'),
    expires: parsedOption('--expires <duration>', `how long it is valid, or ${forEver}; 90 days if absent`, {
      expected: `${durationForm}, or ${forEver}`,
      parse: (text) => (text === forEver ? Infinity : parseDuration(text)),
    }),
  },
  async run(context, { name, role = 'viewer', applications, scopes, expires = lifeMs }): Promise<CreatedToken> {
    const wish = {
      name: typed(lineSchema(100), name, 'name'),
      role,
      applications: typed(applicationsSchema, applicationsOrAll(applications), '--application'),
      ...(scopes.length > 0 && { scopes: typed(scopesSchema, scopes, '--scope') }),
    };
    refuseBeyondRole(role, wish.scopes ?? [], 'USAGE');
    await using access = await openAccess(context);
    const nowMs = await access.log.catalog.nowMs();
    const expiresAtMs = expires === Infinity ? undefined : nowMs + expires;
    const { token, record } = await createToken(access.log, { ...wish, expiresAtMs }, access.actor);
    const seen = await applicationsSeen(access.log.catalog);
    const unseen = record.applications.filter((one) => one !== everywhere && seen.length > 0 && !seen.includes(one));
    return { token, record: tokenView(record, nowMs), unseen };
  },
  render({ token, record: { id, name, role, applications, scopes, expiresAt }, unseen }, style) {
    return [
      token,
      '',
      `token ${name} (${id}), ${role} of ${applicationsWords(applications)}`,
      `for     ${scopes?.join(', ') ?? 'all that the role allows'}`,
      `until   ${expiresAt === undefined ? 'it is revoked' : shortTime(expiresAt, style)}`,
      'Keep it now: it is not shown again.',
      ...(unseen.length === 0
        ? []
        : wrap(`${style.paint('yellow', 'warning')}: no server has seen ${unseen.join(', ')} yet`, style.widthColumns)),
    ].join('\n');
  },
});
