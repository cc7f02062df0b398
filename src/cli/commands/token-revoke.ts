// `token revoke`: a token that opens nothing any more, from now on.
import { listTokens, revokeToken } from '../../access/tokens.ts';
import { AppError } from '../../base/errors.ts';
import { count } from '../../base/count.ts';
import { isEndingOf } from '../id-ending.ts';
import { openAccess } from '../access-log.ts';
import { defineCommand } from '../command.ts';
import { requiredArgument } from '../option.ts';
import { printable } from '../style.ts';

export interface RevokedToken {
  readonly id: string;
  readonly name: string;
}

export const tokenRevokeCommand = defineCommand({
  summary: 'Revoke a token at once',
  examples: ['lifeboat token revoke grafana', 'lifeboat token revoke 019acf6e-7c1f-7d3a-8a4e-5b1f0d1c2b3a'],
  arguments: {
    word: requiredArgument('<token>', 'its id or the last characters of it, or its name if no other valid one has it'),
  },
  options: {},
  async run(context, { word }): Promise<RevokedToken> {
    await using access = await openAccess(context);
    const open = (await listTokens(access.log.catalog)).filter(({ revokedAtMs }) => revokedAtMs === undefined);
    const named = open.filter(({ id, name }) => id === word || name === word);
    const fitting = named.length > 0 ? named : open.filter(({ id }) => isEndingOf(id, word));
    const [found] = fitting;
    if (found === undefined || fitting.length > 1) {
      const code = found === undefined ? 'NOT_FOUND' : 'AMBIGUOUS';
      throw new AppError(code, `'${word}' fits ${count(fitting.length, 'token')}`, {
        hint: "Give an id as 'lifeboat token list' shows them.",
      });
    }
    await revokeToken(access.log, found.id, access.actor);
    return { id: found.id, name: found.name };
  },
  render: ({ id, name }) => `revoked token ${printable(name)} (${id})`,
});
