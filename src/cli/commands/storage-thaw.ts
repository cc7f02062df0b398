// `storage thaw`: brings back what a bucket moved to a class that does not answer, so that it can be restored.
import { count } from '../../base/count.ts';
import type { Thawing } from '../../storage/thawing.ts';
import { defineCommand } from '../command.ts';
import { choiceOption, parsedOption, switchOption } from '../option.ts';
import { chooseOne } from '../repository-choice.ts';
import { bytes, shortTime, wrap, type Style } from '../style.ts';

interface StorageThawData extends Thawing {
  readonly repository: string;
  readonly isDryRun: boolean;
}

const daysDefault = 7;
const daysMax = 365;
const tiers = { bulk: 'Bulk', standard: 'Standard', expedited: 'Expedited' } as const;

export const storageThawCommand = defineCommand({
  summary: 'Bring back from an archive class what is to be restored',
  details:
    'Asks the bucket for copies that answer of all objects of a repository that lie in GLACIER or DEEP_ARCHIVE; the store takes hours for it, and bills it. Exit code 3 until all of it can be read: run it again to see how far it is. Of an archive the newest month, or the one that is named. What can be read already stays longer where --days says more days from now than it has left. What is brought back stays archived as well, so nothing else has to be undone.',
  examples: [
    'lifeboat storage thaw -r archive/2026-03 --dry-run',
    'lifeboat storage thaw -r archive/2026-03 --tier bulk --days 14',
  ],
  arguments: {},
  options: {
    days: parsedOption(
      '--days <number>',
      `days that it can be read, also what can be read already (default: ${daysDefault}, of what is asked for now)`,
      {
        parse: parseDays,
        expected: `a whole number from 1 to ${daysMax}`,
      },
    ),
    tier: choiceOption('--tier <tier>', 'how fast, and how dear (default: standard)', [
      'bulk',
      'standard',
      'expedited',
    ]),
    isDryRun: switchOption('--dry-run', 'look only, and ask for nothing'),
  },
  async run(context, { days, tier = 'standard', isDryRun }): Promise<StorageThawData> {
    const settings = await chooseOne(context, 'write');
    context.progress.update({ work: `look what of ${settings.name} is archived` });
    // Whoever runs it again to see how far it is says no days, and shall not pay for more of them.
    const wish = { days: days ?? daysDefault, prolongs: days !== undefined, tier: tiers[tier], isDryRun };
    const thawing = await context.thaw(settings, wish);
    return { repository: settings.name, isDryRun, ...thawing };
  },
  render(data, style) {
    const { repository, isDryRun, archived, archivedBytes, ready, waiting, requested, untouched, prolonged } = data;
    if (archived === 0) return `nothing of ${repository} lies in an archive class: all of it can be read`;
    const words = [
      `${ready} can be read${readableUntilWords(data, style)}`,
      ...(prolonged > 0 ? [`${prolonged} of them ${isDryRun ? 'would stay longer' : 'stay longer than before'}`] : []),
      ...(requested > 0 ? [`${requested} were asked for just now`] : []),
      ...(waiting > 0 ? [`${waiting} are on their way`] : []),
      ...(untouched > 0 ? [`${untouched} were not asked for`] : []),
    ];
    const total = `${count(archived, 'object')} of ${repository} in archive classes, ${bytes(archivedBytes)}: ${words.join(', ')}`;
    const end = isDryRun
      ? ['nothing was asked for: --dry-run']
      : ready < archived
        ? ['run it again to see how far it is']
        : [];
    return [...wrap(total, style.widthColumns), ...end].join('\n');
  },
  exitCode: ({ archived, ready }) => (ready < archived ? 3 : 0),
});

function readableUntilWords({ readableUntil }: StorageThawData, style: Style): string {
  return readableUntil === undefined ? '' : ` until ${shortTime(readableUntil, style)} at least`;
}

function parseDays(text: string): number | undefined {
  const days = Number(text);
  return Number.isInteger(days) && days >= 1 && days <= daysMax ? days : undefined;
}
