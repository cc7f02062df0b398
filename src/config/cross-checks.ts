// What a schema can't say: names that refer to each other. Works on unvalidated data, so that these problems are listed
// together with all others.
import type { Finding } from '../model/finding.ts';
import type { Application } from '../model/application.ts';
import { continuousProofFindings, objectiveFindings } from '../model/component.ts';
import { nearestOf } from './nearest.ts';
import { shortened } from './problems.ts';
import { childOf, type DocumentPath } from './schema-walk.ts';

export interface ReferenceProblem {
  readonly path: DocumentPath;
  readonly text: string;
}

/** References to policies and repositories that do not exist, and repositories named twice in one policy. */
export function referenceProblems(data: unknown): ReferenceProblem[] {
  const policies = keysOf(childOf(data, 'policies'));
  const repositories = keysOf(childOf(data, 'repositories'));
  const problems: ReferenceProblem[] = [];
  if (childOf(data, 'repositories') !== undefined && repositories.length === 0) {
    problems.push({ path: ['repositories'], text: 'found no repository, expected at least one' });
  }
  for (const name of policies) {
    problems.push(...targetProblems(data, ['policies', name], repositories));
  }
  for (const name of keysOf(childOf(data, 'components'))) {
    const path = ['components', name, 'policy'];
    const policy = path.reduce(childOf, data);
    if (typeof policy !== 'string') problems.push(...targetProblems(data, path, repositories));
    else if (!policies.includes(policy)) problems.push({ path, text: unknownName(policy, 'policy', policies) });
  }
  return problems;
}

function targetProblems(data: unknown, policyPath: DocumentPath, repositories: readonly string[]): ReferenceProblem[] {
  const path = [...policyPath, 'repositories'];
  const targets = path.reduce(childOf, data);
  if (!Array.isArray(targets)) return [];
  const seen = new Set<string>();
  return targets.flatMap((target: unknown, index) => {
    const isPlain = typeof target === 'string';
    const name = isPlain ? target : childOf(target, 'name');
    if (typeof name !== 'string') return [];
    const at = isPlain ? [...path, index] : [...path, index, 'name'];
    if (!repositories.includes(name)) return [{ path: at, text: unknownName(name, 'repository', repositories) }];
    if (seen.has(name))
      return [{ path: at, text: `found '${name}' for the second time, expected each repository once` }];
    seen.add(name);
    return [];
  });
}

function unknownName(name: string, kind: string, known: readonly string[]): string {
  const nearest = nearestOf(name, known);
  const list = known.length === 0 ? `there is no ${kind} yet` : `there are: ${known.map(shortened).join(', ')}`;
  const hint = nearest === undefined ? '' : `; did you mean '${nearest}'?`;
  return `found '${shortened(name)}', expected the name of a ${kind} (${list})${hint}`;
}

function keysOf(value: unknown): string[] {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? Object.keys(value) : [];
}

/** What is allowed, but most likely not meant. A repository without a policy is neither: copies go there. */
export function configurationWarnings(application: Application, policyNames: ReadonlySet<string>): Finding[] {
  const unusedPolicies = [...policyNames].map((name): Finding => ({
    aspect: `policy ${name}`,
    outcome: 'warning',
    message: 'no component uses it',
    hint: 'Use it or remove it.',
  }));
  const { components } = application;
  return [...unusedPolicies, ...components.flatMap(objectiveFindings), ...components.flatMap(continuousProofFindings)];
}
