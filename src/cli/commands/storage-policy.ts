// `storage policy`: prints the least rights at the bucket of a repository.
import { defineCommand } from '../command.ts';
import { choiceOption } from '../option.ts';
import { chooseOne } from '../repository-choice.ts';
import type { BucketRole } from '../context.ts';

interface StoragePolicyData {
  readonly repository: string;
  readonly role: BucketRole;
  /** An IAM policy. */
  readonly policy: object;
}

export const storagePolicyCommand = defineCommand({
  summary: 'Print the least rights that a repository needs at its bucket',
  details:
    "An IAM policy, exact to what Lifeboat calls: 'full' for all that is done to a repository; 'append' for a machine that backs up, and removes nothing but its locks (retention and prune then run elsewhere, with 'full'; what it may overwrite is kept by the versions of the bucket); 'read' for one that only restores. Asks no server.",
  examples: [
    'lifeboat storage policy -r offsite --role append',
    'lifeboat storage policy -r s3://bucket/app --role read > policy.json',
  ],
  arguments: {},
  options: { role: choiceOption('--role <role>', 'for whom', ['full', 'append', 'read']) },
  async run(context, { role = 'full' }): Promise<StoragePolicyData> {
    const settings = await chooseOne(context, 'write');
    return { repository: settings.name, role, policy: context.bucketPolicy(settings, role) };
  },
  render: ({ policy }) => JSON.stringify(policy, undefined, 2),
});
