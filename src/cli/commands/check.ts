// `check`: is it configured? Connections, rights, versions, space and repositories, one line per aspect. Changes nothing.
import type { Component } from '../../model/component.ts';
import { defineCommand } from '../command.ts';
import { chooseComponents } from '../component-choice.ts';
import { listArgument } from '../option.ts';
import { checkRepository } from '../repository-findings.ts';
import {
  checkComponent,
  findingsExitCode,
  renderSubjects,
  type FindingsData,
  type SubjectFindings,
} from '../subject-findings.ts';

export const checkCommand = defineCommand({
  summary: 'Check whether everything needed for backups is in place',
  details:
    "One line per aspect, with a hint where something is wrong. Exit code 0: all in place, 1: something failed, 3: warnings, 21: something could not be looked at. Whether backups are intact is told by 'verify', whether they come back by 'prove'.",
  examples: ['lifeboat check', 'lifeboat check database --json', 'lifeboat check --repository s3://bucket/app'],
  arguments: { names: listArgument('[component...]', 'components of lifeboat.yaml; all if absent') },
  options: {},
  async run(context, { names }): Promise<FindingsData> {
    const configuration = await context.findConfiguration();
    const components: readonly Component[] =
      configuration === undefined ? [] : chooseComponents(configuration.application, names);
    const subjects: SubjectFindings[] = [];
    if (configuration !== undefined) {
      const read = {
        aspect: 'file',
        outcome: 'passed',
        message: configuration.path ?? 'from environment variables',
      } as const;
      subjects.push({ subject: 'configuration', findings: [read, ...configuration.warnings] });
    }
    for (const component of components) {
      context.progress.update({ work: `check ${component.name}` });
      subjects.push(await checkComponent(component, context));
    }
    for (const settings of await context.chosenRepositories()) {
      context.progress.update({ work: `check repository ${settings.name}` });
      const findings = await Array.fromAsync(checkRepository(settings, context));
      subjects.push({ subject: `repository ${settings.name}`, findings });
    }
    return { subjects };
  },
  render: renderSubjects,
  exitCode: findingsExitCode,
});
