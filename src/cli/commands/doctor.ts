// `doctor`: what is wrong, when something is: permissions, uploads, space, connections, stale locks, clocks. Goes deeper
// than `check` and says what a clean-up would bring.
import { formatByteSize } from '../../base/byte-size.ts';
import { count } from '../../base/count.ts';
import { isAppError } from '../../base/errors.ts';
import type { Finding } from '../../model/finding.ts';
import type { RepositorySettings } from '../../model/repository-settings.ts';
import type { Repository } from '../../repository/repository.ts';
import { prune } from '../../repository/prune-execute.ts';
import { defineCommand } from '../command.ts';
import type { CommandContext } from '../context.ts';
import { checkMachine } from '../machine-findings.ts';
import { checkRepository, findingOf } from '../repository-findings.ts';
import { decideRetentionOf, policyIn } from '../retention-run.ts';
import {
  checkComponent,
  findingsExitCode,
  renderSubjects,
  type FindingsData,
  type SubjectFindings,
} from '../subject-findings.ts';

export const doctorCommand = defineCommand({
  summary: 'Find out what is wrong, and what to do about it',
  details:
    "For when a backup or a restore fails: permissions of the program, its folders and password files; for S3 the credentials in use, the bucket and the clock; space, and what a clean-up would free; connections to PostgreSQL and Redis; stale locks. Changes nothing. Exit codes as for 'check'.",
  examples: ['lifeboat doctor', 'lifeboat doctor --repository s3://bucket/app', 'lifeboat doctor --json'],
  arguments: {},
  options: {},
  async run(context): Promise<FindingsData> {
    const configuration = await context.findConfiguration();
    const subjects: SubjectFindings[] = [];
    const repositories = await repositoriesOrFinding(context, subjects);
    subjects.unshift({ subject: 'machine', findings: await Array.fromAsync(checkMachine(context)) });
    for (const component of configuration?.application.components ?? []) {
      context.progress.update({ work: `look at ${component.name}` });
      subjects.push(await checkComponent(component, context));
    }
    for (const settings of repositories) {
      context.progress.update({ work: `look at repository ${settings.name}` });
      const more = (repository: Repository) => cleanUpFindings(repository, settings.name, context);
      const findings = await Array.fromAsync(checkRepository(settings, context, more));
      subjects.push({ subject: `repository ${settings.name}`, findings });
    }
    return { subjects };
  },
  render: (data, style) => renderSubjects(data, style),
  exitCode: findingsExitCode,
});

/** A doctor must be able to say that there is no repository. */
async function repositoriesOrFinding(
  context: CommandContext,
  subjects: SubjectFindings[],
): Promise<readonly RepositorySettings[]> {
  try {
    return await context.chosenRepositories();
  } catch (error) {
    if (!isAppError(error, 'CONFIG_MISSING')) throw error;
    subjects.push({ subject: 'configuration', findings: [findingOf('repositories', error)] });
    return [];
  }
}

/** What a full disk makes one want to know. */
async function cleanUpFindings(repository: Repository, name: string, context: CommandContext): Promise<Finding[]> {
  const { signal } = context;
  try {
    const application = (await context.findConfiguration())?.application;
    const policyOf = application === undefined ? () => undefined : policyIn(application, name);
    const host = application?.name;
    const decisions = await decideRetentionOf(repository, { host, policyOf, forgetProven: false }, context);
    const removable = decisions.filter(({ keep }) => !keep).length;
    const { bytes } = await prune(repository, { isDryRun: true, maxUnused: { bytes: 0 }, signal });
    return [
      {
        aspect: 'retention',
        outcome: 'passed',
        message:
          removable === 0
            ? 'nothing is due for removal'
            : `'lifeboat retention' would remove ${count(removable, 'snapshot')} and then free their space`,
      },
      {
        aspect: 'unused space',
        outcome: 'passed',
        message:
          bytes.freed === 0
            ? 'none: every byte is needed by some snapshot'
            : `'lifeboat repository prune' would free up to ${formatByteSize(bytes.freed)}`,
      },
    ];
  } catch (error) {
    signal.throwIfAborted();
    return [findingOf('clean-up', error)];
  }
}
