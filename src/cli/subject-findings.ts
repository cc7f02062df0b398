// Findings in groups, as `check` and `doctor` return and show them.
import { count } from '../base/count.ts';
import type { Component } from '../model/component.ts';
import type { Finding, FindingOutcome } from '../model/finding.ts';
import type { CommandContext } from './context.ts';
import { findingOf } from './repository-findings.ts';
import { findingLines, type Style } from './style.ts';

export interface SubjectFindings {
  /** `component database`, `repository local`. */
  readonly subject: string;
  readonly findings: readonly Finding[];
}

export interface FindingsData {
  readonly subjects: readonly SubjectFindings[];
}

export async function checkComponent(component: Component, context: CommandContext): Promise<SubjectFindings> {
  const subject = `component ${component.name}`;
  try {
    const source = await context.sourceOf(component);
    return { subject, findings: await Array.fromAsync(source.check(context.signal)) };
  } catch (error) {
    context.signal.throwIfAborted();
    return { subject, findings: [findingOf('settings', error)] };
  }
}

/** `more` stands above the last line, which counts. */
export function renderSubjects({ subjects }: FindingsData, style: Style, more = ''): string {
  const parts = subjects
    .filter(({ findings }) => findings.length > 0)
    .map(({ subject, findings }) => [style.paint('bold', subject), ...findingLines(findings, style)].join('\n'));
  const all = subjects.flatMap(({ findings }) => findings);
  const tally = (outcome: FindingOutcome): number => all.filter((finding) => finding.outcome === outcome).length;
  const words = [
    count(tally('passed'), 'passed', 'passed'),
    count(tally('warning'), 'warning'),
    count(tally('failed'), 'failed', 'failed'),
    count(tally('inconclusive'), 'unknown', 'unknown'),
  ];
  return [...parts, ...(more === '' ? [] : [more]), words.join(', ')].join('\n\n');
}

/** Failed before unknown before warnings. */
export function findingsExitCode({ subjects }: FindingsData): number {
  const outcomes = new Set(subjects.flatMap(({ findings }) => findings.map(({ outcome }) => outcome)));
  if (outcomes.has('failed')) return 1;
  if (outcomes.has('inconclusive')) return 21;
  return outcomes.has('warning') ? 3 : 0;
}
