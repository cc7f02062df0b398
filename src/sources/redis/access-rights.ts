// Which commands a Redis user needs for what: one list, from which the hints are written and by which the server is asked.
import { isAppError } from '../../base/errors.ts';

interface Connection {
  text(command: string, ...parts: readonly string[]): Promise<string>;
}

/** A command with arguments that it would take. */
type Call = readonly [command: string, ...parts: string[]];

interface Right {
  readonly rule: string;
  readonly call: Call;
}

const backupRights: readonly Right[] = [
  { rule: '+psync', call: ['psync', '?', '-1'] },
  { rule: '+replconf', call: ['replconf', 'capa', 'eof'] },
  { rule: '+ping', call: ['ping'] },
  { rule: '+info', call: ['info'] },
];
/** What `check` asks with; a backup does without. */
const askingRules = '+acl|dryrun +command|info';

const restoreRights: readonly Right[] = [
  { rule: '+select', call: ['select', '0'] },
  { rule: '+dbsize', call: ['dbsize'] },
  { rule: '+restore', call: ['restore', 'key', '0', 'value'] },
  { rule: '+flushdb', call: ['flushdb'] },
  { rule: '+swapdb', call: ['swapdb', '0', '1'] },
  { rule: '+multi', call: ['multi'] },
  { rule: '+exec', call: ['exec'] },
];
/** Tells how many databases there are; where nobody may ask, as in managed services, a restore does without. */
const countingRule = '+config|get';
/** From Redis 7, where functions came; 6 refuses a rule for a command that it does not know. */
const functionRight: Right = { rule: '+function|load', call: ['function', 'load', 'code'] };

const rulesOf = (rights: readonly Right[]): string => rights.map(({ rule }) => rule).join(' ');
const functionsFromMajor = 7;

/** The statement that grants all that check, backup, restore and proof take; `major` of the server, if it is known. */
export function rightsHint(user = 'default', major = functionsFromMajor): string {
  const backup = `${rulesOf(backupRights)} ${askingRules}`;
  const functions = major >= functionsFromMajor ? ` ${functionRight.rule}` : '';
  const restore = `~* ${rulesOf(restoreRights)} ${countingRule}${functions}`;
  return `Run 'ACL SETUSER ${user} ${backup} ${restore}' as an administrator; what begins with ~* is for restores.`;
}

/** The first command of a purpose that the user may not send; rejects where the server can't be asked. */
export async function refusedCommand(
  connection: Connection,
  user: string,
  purpose: 'backup' | 'restore' | 'functions',
): Promise<string | undefined> {
  const rights = { backup: backupRights, restore: restoreRights, functions: [functionRight] }[purpose];
  for (const { call } of rights) {
    if ((await connection.text('ACL', 'DRYRUN', user, ...call)) !== 'OK') return call[0];
  }
  return undefined;
}

/** As `refusedCommand`, where a server that can't be asked (Redis 6, few rights) is no obstacle. */
export async function refusedIfKnown(...asked: Parameters<typeof refusedCommand>): Promise<string | undefined> {
  try {
    return await refusedCommand(...asked);
  } catch (error) {
    if (!isAppError(error)) throw error;
    return undefined;
  }
}
