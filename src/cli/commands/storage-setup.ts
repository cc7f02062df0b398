// `storage setup`: makes the bucket of a repository what one for backups should be, or says what is missing.
import { defineCommand } from '../command.ts';
import type { BucketStep } from '../context.ts';
import { switchOption } from '../option.ts';
import { requireConsent } from '../confirmation.ts';
import { chooseOne } from '../repository-choice.ts';
import { findingLines, type Style } from '../style.ts';

export interface StorageSetupData {
  readonly repository: string;
  readonly isDryRun: boolean;
  readonly steps: readonly BucketStep[];
}

export const storageSetupCommand = defineCommand({
  summary: 'Make the bucket of a repository as one for backups should be',
  details:
    "Creates it if there is none; keeps earlier versions for a while, blocks public access, encrypts at rest, refuses requests in clear where the endpoint speaks TLS; and what `s3.bucket` of the repository asks for: storage classes, an access log with the right to write it, object lock, replication into another bucket (what the role for it needs is printed). What others set up in the bucket stays; a rule of theirs by which backups would lose data is told. Needs more rights than backups do: use an administrator's credentials once. Exit code 3 if something is missing, 1 if something could not be done.",
  examples: ['lifeboat storage setup -r offsite --dry-run', 'lifeboat storage setup -r offsite --yes'],
  arguments: {},
  options: {
    isDryRun: switchOption('--dry-run', 'look only, and say what would be changed'),
    isConfirmed: switchOption('--yes', 'do not ask'),
  },
  async run(context, { isDryRun, isConfirmed }): Promise<StorageSetupData> {
    const settings = await chooseOne(context, 'write');
    const look = await Array.fromAsync(context.setUpBucket(settings, true));
    const differs = look.filter(({ outcome }) => outcome === 'differs');
    if (isDryRun || differs.length === 0) return { repository: settings.name, isDryRun, steps: look };
    await requireConsent(context, `change settings of the bucket of ${settings.name}`, isConfirmed);
    const steps = await Array.fromAsync(context.setUpBucket(settings, false));
    return { repository: settings.name, isDryRun, steps };
  },
  render: renderSetup,
  exitCode({ steps }) {
    if (steps.some(({ outcome }) => outcome === 'failed')) return 1;
    return steps.some(({ outcome }) => isLacking(outcome)) ? 3 : 0;
  },
});

const isLacking = (outcome: BucketStep['outcome']): boolean =>
  outcome === 'differs' || outcome === 'danger' || outcome === 'left out';

const findingOutcomes = {
  'as wished': 'passed',
  changed: 'passed',
  differs: 'warning',
  failed: 'failed',
  danger: 'failed',
  'left out': 'warning',
} as const;

function renderSetup({ repository, isDryRun, steps }: StorageSetupData, style: Style): string {
  const findings = steps.map(({ aspect, outcome, message, hint }) => ({
    aspect,
    outcome: findingOutcomes[outcome],
    message: outcome === 'changed' ? `done: ${message}` : outcome === 'differs' ? `would ${message}` : message,
    hint,
  }));
  const documents = steps.flatMap((step) => (step.outcome === 'as wished' ? [] : documentLines(step, style)));
  const end = isDryRun ? ['nothing was done: --dry-run'] : [];
  return [style.paint('bold', `bucket of ${repository}`), ...findingLines(findings, style), ...documents, ...end].join(
    '\n',
  );
}

const documentWords: Readonly<Record<string, string>> = {
  trust: 'who may take the role (its trust policy)',
  policy: 'what the role may do (a policy of it)',
  otherAccount: 'only if the other bucket belongs to another account: a statement of its policy',
};

function documentLines({ documents = {} }: BucketStep, style: Style): string[] {
  return Object.entries(documents).flatMap(([name, document]) => [
    '',
    style.paint('bold', documentWords[name] ?? name),
    JSON.stringify(document, undefined, 2),
  ]);
}
