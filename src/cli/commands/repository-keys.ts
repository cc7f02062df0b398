// `repository keys`: the passwords of a repository. Each is a file that wraps the one master key.
import { count } from '../../base/count.ts';
import { AppError } from '../../base/errors.ts';
import {
  addPassword,
  changePassword,
  listKeys,
  refuseOwnKey,
  removePassword,
  type KeyInfo,
} from '../../repository/open-repository.ts';
import { addByKit } from '../add-by-kit.ts';
import { defineCommand } from '../command.ts';
import type { CommandContext, OpenedRepository } from '../context.ts';
import { requireConsent } from '../confirmation.ts';
import { newPassword } from '../new-password.ts';
import { optionalArgument, switchOption, textOption } from '../option.ts';
import { openOneItself, openToChange } from '../repository-choice.ts';
import { shortId, shortTime } from '../style.ts';
import { table } from '../table.ts';

export interface KeysData {
  readonly done: string | undefined;
  readonly keys: readonly KeyInfo[];
}

export const repositoryKeysCommand = defineCommand({
  summary: 'List, add, remove or change passwords',
  details:
    'Every password opens the whole repository. After a password became known to others, change it; who copied the key file before can still open old copies of it, so then a new repository is the safe way.',
  examples: [
    'lifeboat repository keys',
    'lifeboat repository keys add --new-password-file ./second',
    'lifeboat repository keys remove 5f3a9c21 --yes',
    'lifeboat repository keys change',
    'lifeboat repository keys add --kit ./kit.txt --identity ./identity.txt',
  ],
  arguments: {
    action: optionalArgument('[action]', 'list (default), add, remove or change'),
    key: optionalArgument('[key]', 'first digits of the key to remove'),
  },
  options: {
    newPasswordFile: textOption('--new-password-file <path>', 'file that holds the new password; asked for if absent'),
    kit: textOption('--kit <file>', "with add: a recovery kit in place of a password ('lifeboat repository kit')"),
    identity: textOption('--identity <file>', 'with --kit: the age identity that opens it'),
    isConfirmed: switchOption('--yes', 'remove without asking'),
    isDryRun: switchOption('--dry-run', 'show what would be done, and do nothing'),
  },
  async run(
    context,
    { action = 'list', key, newPasswordFile, kit, identity, isConfirmed, isDryRun },
  ): Promise<KeysData> {
    if (kit !== undefined || identity !== undefined) {
      if (action === 'add' && kit !== undefined && identity !== undefined)
        return addByKit(context, { kit, identity, newPasswordFile, isDryRun });
      throw new AppError('USAGE', 'a kit and its identity together add a password, and nothing else', {
        hint: "Write 'lifeboat repository keys add --kit <file> --identity <file>'.",
      });
    }
    const perform = actions[action];
    if (perform === undefined) {
      throw new AppError('USAGE', `'${action}' is no action on keys`, { hint: 'Use list, add, remove or change.' });
    }
    await using opened = await (action === 'list' ? openOneItself(context) : openToChange(context, isDryRun));
    const { done, keyId } = await perform(opened, context, { key, newPasswordFile, isConfirmed, isDryRun });
    const repository = { ...opened.repository, keyId: keyId ?? opened.repository.keyId };
    return { done, keys: await listKeys(repository, context.signal) };
  },
  render({ done, keys }, style) {
    const columns = [{ title: 'Key' }, { title: 'Created' }, { title: 'By', shrinksTo: 16 }, { title: 'In use' }];
    const rows = keys.map(({ id, created, userName, hostName, isCurrent }) => [
      shortId(id),
      shortTime(created, style),
      `${userName}@${hostName}`,
      isCurrent ? 'yes' : '',
    ]);
    return [...(done === undefined ? [] : [done]), table(columns, rows, style)].join('\n');
  },
});

interface ActionInput {
  readonly key: string | undefined;
  readonly newPasswordFile: string | undefined;
  readonly isConfirmed: boolean;
  readonly isDryRun: boolean;
}

interface ActionResult {
  readonly done?: string;
  readonly keyId?: KeyInfo['id'];
}

type Action = (opened: OpenedRepository, context: CommandContext, input: ActionInput) => Promise<ActionResult>;

const wouldDo = (what: string): ActionResult => ({ done: `would ${what}; nothing was done: --dry-run` });

const actions: Readonly<Record<string, Action>> = {
  list: () => Promise.resolve({}),
  async add({ repository }, context, { newPasswordFile, isDryRun }) {
    const password = await newPassword(context, newPasswordFile);
    if (isDryRun) return wouldDo('add a key');
    const id = await addPassword(repository, { password, signal: context.signal });
    return { done: `added key ${shortId(id)}` };
  },
  async change({ repository }, context, { newPasswordFile, isDryRun }) {
    const password = await newPassword(context, newPasswordFile);
    if (isDryRun) return wouldDo(`add a key and remove ${shortId(repository.keyId)}`);
    const { signal, settings } = context;
    const id = await changePassword(repository, { password, signal, lockWaitMs: settings.lockWaitMs });
    return { done: `changed the password: key ${shortId(id)} replaces ${shortId(repository.keyId)}`, keyId: id };
  },
  async remove({ repository }, context, { key, isConfirmed, isDryRun }) {
    const keys = await listKeys(repository, context.signal);
    const fitting = key === undefined ? [] : keys.filter(({ id }) => id.startsWith(key));
    const [found] = fitting;
    if (found === undefined || fitting.length > 1) {
      const fact = key === undefined ? 'no key is named' : `'${key}' fits ${count(fitting.length, 'key')}`;
      const code = key === undefined ? 'USAGE' : found === undefined ? 'NOT_FOUND' : 'AMBIGUOUS';
      throw new AppError(code, fact, { hint: "Give the first digits as 'lifeboat repository keys' shows them." });
    }
    refuseOwnKey(repository, found.id);
    const what = `remove key ${shortId(found.id)} of ${found.userName}@${found.hostName}`;
    if (isDryRun) return wouldDo(what);
    await requireConsent(context, what, isConfirmed);
    const { signal, settings } = context;
    await removePassword(repository, found.id, { signal, lockWaitMs: settings.lockWaitMs });
    return { done: `removed key ${shortId(found.id)}` };
  },
};
