// `token list`: the tokens there are, without their secrets.
import { listTokens } from '../../access/tokens.ts';
import { tokenView, type TokenView } from '../../access/views.ts';
import { applicationsWords, openAccess } from '../access-log.ts';
import { defineCommand } from '../command.ts';
import { switchOption } from '../option.ts';
import { ageWords, printable, shortTime } from '../style.ts';
import { shortEnding } from '../id-ending.ts';
import { table } from '../table.ts';

export interface TokenList {
  readonly tokens: readonly TokenView[];
}

export const tokenListCommand = defineCommand({
  summary: 'List tokens, newest last',
  examples: ['lifeboat token list', 'lifeboat token list --all'],
  arguments: {},
  options: { showsAll: switchOption('--all', 'also those that are expired or revoked') },
  async run(context, { showsAll }): Promise<TokenList> {
    await using access = await openAccess(context);
    const { catalog } = access.log;
    const nowMs = await catalog.nowMs();
    const tokens = (await listTokens(catalog)).map((record) => tokenView(record, nowMs));
    return { tokens: tokens.filter(({ state }) => showsAll || state === 'valid') };
  },
  render({ tokens }, style) {
    if (tokens.length === 0) return 'no tokens';
    const columns = [
      { title: 'ID' },
      { title: 'Name', shrinksTo: 10 },
      { title: 'Role' },
      { title: 'Applications', shrinksTo: 16 },
      { title: 'Used', shrinksTo: 8 },
      { title: 'Until', shrinksTo: 10 },
    ];
    const rows = tokens.map(({ id, name, role, applications, lastUsedAt, expiresAt, state }) => [
      shortEnding(id),
      printable(name),
      role,
      applicationsWords(applications),
      lastUsedAt === undefined ? 'never' : ageWords(lastUsedAt, style),
      state === 'valid' ? (expiresAt === undefined ? 'revoked' : shortTime(expiresAt, style)) : state,
    ]);
    return table(columns, rows, style);
  },
});
