// `check`: is it configured? Connections, rights, versions, space and repositories, one line per aspect; and can what is
// promised be kept by what is configured. Changes nothing.
import { feasibilityOf, type Feasibility } from '../../model/feasibility.ts';
import type { Finding } from '../../model/finding.ts';
import type { Repository } from '../../repository/repository.ts';
import { defineCommand } from '../command.ts';
import type { LoadedConfiguration } from '../context.ts';
import { chooseComponents } from '../component-choice.ts';
import { exposureTable } from '../exposure-table.ts';
import { MeasuredDurations } from '../measured-durations.ts';
import { neighbourFindings, placesFindings, stateFindings } from '../neighbours.ts';
import { listArgument, switchOption } from '../option.ts';
import { checkRepository } from '../repository-findings.ts';
import {
  checkComponent,
  findingsExitCode,
  renderSubjects,
  type FindingsData,
  type SubjectFindings,
} from '../subject-findings.ts';

export interface CheckData extends FindingsData {
  /** What each component loses at worst; empty without a configuration. */
  readonly exposures: Feasibility['exposures'];
  /** How many of the findings say that a promise can't be kept. */
  readonly contradictions: number;
  readonly isStrict: boolean;
}

const infeasibleExitCode = 32;

export const checkCommand = defineCommand({
  summary: 'Check whether all is in place for backups, and whether promises can be kept',
  details:
    "One line per aspect, with a hint where something is wrong; below, what each component loses at worst in each kind of disaster, by its schedules and copies, and how long backups took so far ('+': and what was never measured). Exit code 0: all in place, 1: something failed, 3: warnings, 21: something could not be looked at; 32 with --strict: something is promised that can't be kept. Whether backups are intact is told by 'verify', whether they come back by 'prove'.",
  examples: [
    'lifeboat check',
    'lifeboat check --strict',
    'lifeboat check database --json',
    'lifeboat check --repository s3://bucket/app',
  ],
  arguments: { names: listArgument('[component...]', 'components of lifeboat.yaml; all if absent') },
  options: {
    isStrict: switchOption('--strict', "fail with 32 where objectives can't be kept, whatever else is found"),
  },
  async run(context, { names, isStrict }): Promise<CheckData> {
    const configuration = await context.findConfiguration();
    const application = configuration?.application;
    const components = application === undefined ? [] : chooseComponents(application, names);
    const subjects: SubjectFindings[] = [];
    if (configuration !== undefined) {
      const read = {
        aspect: 'file',
        outcome: 'passed',
        message: configuration.path ?? 'from environment variables',
      } as const;
      const { template } = configuration;
      const extended: Finding[] =
        template === undefined ? [] : [{ aspect: 'template', outcome: 'passed', message: template.path }];
      const places = [
        ...placesFindings(configuration.application),
        ...(await stateFindings(context, configuration.application)),
      ];
      subjects.push({ subject: 'configuration', findings: [read, ...extended, ...configuration.warnings, ...places] });
    }
    for (const component of components) {
      context.progress.update({ work: `check ${component.name}` });
      subjects.push(await checkComponent(component, context));
    }
    const measured = new MeasuredDurations();
    for (const settings of await context.chosenRepositories()) {
      context.progress.update({ work: `check repository ${settings.name}` });
      const measure = async (repository: Repository): Promise<Finding[]> => {
        if (application === undefined) return [];
        await measured.add(repository, application.name, context.signal);
        return neighbourFindings(repository, application.name, context);
      };
      const findings = await Array.fromAsync(checkRepository(settings, context, measure));
      subjects.push({ subject: `repository ${settings.name}`, findings });
    }
    if (application === undefined) return { subjects, exposures: [], contradictions: 0, isStrict };
    const { durationsMs, restoresMs } = measured;
    const fromMs = context.clock.now();
    const planned = { application, components, fromMs, durationsMs, restoresMs };
    const { exposures, contradictions } = feasibilityOf({ ...planned, watched: watchedIn(configuration) });
    subjects.push({ subject: 'objectives', findings: contradictions });
    return { subjects, exposures, contradictions: contradictions.length, isStrict };
  },
  render: ({ subjects, exposures }, style) => renderSubjects({ subjects }, style, exposureTable(exposures, style)),
  exitCode: (data) => (data.isStrict && data.contradictions > 0 ? infeasibleExitCode : findingsExitCode(data)),
});

function watchedIn(configuration: LoadedConfiguration | undefined): Set<string> {
  const probes = Object.values(configuration?.probes ?? {});
  return new Set(probes.flatMap(({ component }) => component ?? []));
}
