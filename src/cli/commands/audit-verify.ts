// `audit verify`: whether the audit log is what was written, entry by entry.
import type { ChainVerification } from '../../access/audit-chain.ts';
import { findAuditKeyId } from '../../access/audit-key.ts';
import { verifyAudit } from '../../access/audit-log.ts';
import { count } from '../../base/count.ts';
import { errorKinds } from '../../base/errors.ts';
import { openAccess } from '../access-log.ts';
import { defineCommand } from '../command.ts';
import { listOption, parsedOption } from '../option.ts';
import { wrap } from '../style.ts';

export interface AuditVerificationData extends ChainVerification {
  /** The key of this machine, if it has one. */
  readonly ownKeyId: string | undefined;
}

export const auditVerifyCommand = defineCommand({
  summary: 'Check that no entry of the audit log was changed, removed or moved',
  details:
    'Each entry carries the hash of the one before it, and every hundredth, or the first of a day, is signed. Note the end that it prints somewhere else: with --known-end a later check also finds out if the newest entries were removed or the whole log was written anew. Exit code 20 if something is wrong.',
  examples: [
    'lifeboat audit verify',
    'lifeboat audit verify --trust 3f9a0c81d2b7e654',
    'lifeboat audit verify --known-end 1042:9f86d081…',
  ],
  arguments: {},
  options: {
    trusted: listOption('--trust <key>', 'a key whose signatures count, all that the catalog knows if absent'),
    knownEnd: parsedOption('--known-end <number:hash>', 'an end that was noted before', {
      expected: 'number:hash as an earlier check printed it',
      parse(text) {
        const [, number, hash] = /^(\d{1,15}):([0-9a-f]{64})$/.exec(text) ?? [];
        return number === undefined || hash === undefined ? undefined : { number: Number(number), hash };
      },
    }),
  },
  async run(context, { trusted, knownEnd }): Promise<AuditVerificationData> {
    await using access = await openAccess(context);
    const verification = await verifyAudit(access.log, {
      trustedKeyIds: trusted.length === 0 ? undefined : trusted,
      outsideHead: knownEnd,
    });
    return { ...verification, ownKeyId: await findAuditKeyId(context.stateFolder) };
  },
  render({ entries, first, head, signedBy, problems, ownKeyId }, style) {
    const signatures = Object.entries(signedBy).map(
      ([key, times]) => `${count(times, 'checkpoint')} by key ${key}${key === ownKeyId ? ' of this machine' : ''}`,
    );
    const found = problems.flatMap(({ number, problem }) => wrap(`entry ${number} ${problem}`, style.widthColumns));
    const outcome =
      problems.length === 0
        ? style.paint('green', 'nothing was changed, removed or moved')
        : style.paint('red', `${count(problems.length, 'problem')} found`);
    return [
      `${outcome} in ${count(entries, 'entry', 'entries')}${first === undefined ? '' : ` from ${first} to ${head.number}`}`,
      ...found,
      ...(signatures.length === 0 ? [] : [`signed: ${signatures.join('; ')}`]),
      ...(head.number === 0 ? [] : [`end: ${head.number}:${head.hash}`]),
    ].join('\n');
  },
  exitCode: ({ problems }) => (problems.length === 0 ? 0 : errorKinds.VERIFICATION_FAILED.exitCode),
});
