// What a schema can't say: names that refer to each other. Works on unvalidated data, so that these problems are listed
// together with all others.
import type { AppError } from '../base/errors.ts';
import { addressKindOf, type ChannelSettings } from '../model/alert-settings.ts';
import type { Finding } from '../model/finding.ts';
import type { Application } from '../model/application.ts';
import { continuousProofFindings } from '../model/component.ts';
import { jobsInRings, jobsOf } from '../model/job.ts';
import { probedComponentType, type ProbeSettings } from '../model/probe.ts';
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
  const components = keysOf(childOf(data, 'components'));
  const policyProblems = (path: DocumentPath): ReferenceProblem[] => [
    ...targetProblems(data, path, repositories),
    ...copyProblems(data, path, repositories),
    ...scheduleProblems(data, path, components),
  ];
  for (const name of policies) problems.push(...policyProblems(['policies', name]));
  for (const name of components) {
    const path = ['components', name, 'policy'];
    const policy = path.reduce(childOf, data);
    if (typeof policy !== 'string') problems.push(...policyProblems(path));
    else if (!policies.includes(policy)) problems.push({ path, text: unknownName(policy, 'policy', policies) });
  }
  problems.push(...contactProblems(data), ...routingProblems(data, components), ...probeProblems(data));
  problems.push(...selfBackupProblems(data, repositories));
  return problems;
}

/** Repositories for the state of the service that do not exist. */
function selfBackupProblems(data: unknown, repositories: readonly string[]): ReferenceProblem[] {
  return entriesAt(data, ['service', 'selfBackup', 'repositories']).flatMap(({ path, value }) => {
    if (typeof value !== 'string') return [];
    if (!repositories.includes(value)) return [{ path, text: unknownName(value, 'repository', repositories) }];
    return isArchive(data, value) ? [{ path, text: archiveFilledByCopies(value) }] : [];
  });
}

/** Channels of contacts that do not exist, and addresses that their channel can't send to. */
function contactProblems(data: unknown): ReferenceProblem[] {
  const alerts = childOf(data, 'alerts');
  const channels = keysOf(childOf(alerts, 'channels'));
  return keysOf(childOf(alerts, 'contacts')).flatMap((name) => {
    const path = ['alerts', 'contacts', name, 'reach'];
    const ways = path.reduce(childOf, data);
    if (!Array.isArray(ways)) return [];
    return ways.flatMap((way: unknown, index) => {
      const channel = childOf(way, 'channel');
      if (typeof channel !== 'string') return [];
      if (!channels.includes(channel))
        return [{ path: [...path, index, 'channel'], text: unknownName(channel, 'channel', channels) }];
      const settings = ['channels', channel].reduce(childOf, alerts);
      const text = addressProblem(settings, childOf(way, 'to'));
      return text === undefined ? [] : [{ path: [...path, index], text: `${text} (channel ${shortened(channel)})` }];
    });
  });
}

function addressProblem(settings: unknown, to: unknown): string | undefined {
  const type = childOf(settings, 'type');
  if (typeof type !== 'string') return undefined; // Told of where the channel stands.
  const kind = addressKindOf(type as ChannelSettings['type']);
  if (kind === undefined) return to === undefined ? undefined : 'found an address, expected none';
  const expected = kind === 'mail' ? 'an e-mail address' : 'a telephone number';
  if (to === undefined)
    return childOf(settings, 'to') === undefined ? `missing key 'to', expected ${expected}` : undefined;
  if (typeof to !== 'string' || to.includes('@') === (kind === 'mail')) return undefined;
  return `found another kind of address, expected ${expected} as 'to'`;
}

/** Channels, contacts, escalations and components that rules and steps name and that do not exist. */
function routingProblems(data: unknown, components: readonly string[]): ReferenceProblem[] {
  const alerts = childOf(data, 'alerts');
  const known = {
    channels: { what: 'channel', names: keysOf(childOf(alerts, 'channels')) },
    contacts: { what: 'contact', names: keysOf(childOf(alerts, 'contacts')) },
    components: { what: 'component', names: components },
  };
  const escalations = keysOf(childOf(alerts, 'escalations'));
  const steps = escalations.map((name) => ['alerts', 'escalations', name]);
  const entries = [...steps, ['alerts', 'rules'], ['alerts', 'reports']].flatMap((path) => {
    const list = path.reduce(childOf, data);
    return Array.isArray(list) ? list.map((entry: unknown, index) => ({ entry, path: [...path, index] })) : [];
  });
  return entries.flatMap(({ entry, path }) => {
    const problems: ReferenceProblem[] = [];
    for (const [key, { what, names }] of Object.entries(known)) {
      const named = childOf(entry, key);
      for (const [index, name] of (Array.isArray(named) ? named : []).entries()) {
        if (typeof name === 'string' && !names.includes(name))
          problems.push({ path: [...path, key, index], text: unknownName(name, what, names) });
      }
    }
    const escalation = childOf(entry, 'escalation');
    if (typeof escalation === 'string' && !escalations.includes(escalation))
      problems.push({ path: [...path, 'escalation'], text: unknownName(escalation, 'escalation', escalations) });
    return problems;
  });
}

/** Components of probes that do not exist, or can't be asked what the probe asks. */
function probeProblems(data: unknown): ReferenceProblem[] {
  const components = childOf(data, 'components');
  const known = keysOf(components);
  return keysOf(childOf(data, 'probes')).flatMap((name) => {
    const probe = ['probes', name].reduce(childOf, data);
    const component = childOf(probe, 'component');
    if (typeof component !== 'string') return [];
    const path = ['probes', name, 'component'];
    if (!known.includes(component)) return [{ path, text: unknownName(component, 'component', known) }];
    const wanted = probedComponentType(childOf(probe, 'type') as ProbeSettings['type']);
    const type = [component, 'type'].reduce(childOf, components);
    if (wanted === undefined || type === wanted || typeof type !== 'string') return [];
    return [{ path, text: `found a component of type ${shortened(type)}, expected one of type ${wanted}` }];
  });
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
    if (isArchive(data, name)) return [{ path: at, text: archiveFilledByCopies(name) }];
    if (seen.has(name))
      return [{ path: at, text: `found '${name}' for the second time, expected each repository once` }];
    seen.add(name);
    return [];
  });
}

const isArchive = (data: unknown, name: string): boolean =>
  ['repositories', name, 'archive'].reduce(childOf, data) !== undefined;

const archiveFilledByCopies = (name: string): string => `found the archive '${name}', which is filled by copies alone`;

/** A value that may stand alone or in a list, with the path of each. */
function entriesAt(data: unknown, path: DocumentPath): { readonly path: DocumentPath; readonly value: unknown }[] {
  const value = path.reduce(childOf, data);
  if (!Array.isArray(value)) return value === undefined ? [] : [{ path, value }];
  return value.map((entry: unknown, index) => ({ path: [...path, index], value: entry }));
}

/** Copies from and to repositories that do not exist, or to where the backups are already. */
function copyProblems(data: unknown, policyPath: DocumentPath, repositories: readonly string[]): ReferenceProblem[] {
  const targets = entriesAt(data, [...policyPath, 'repositories']).map(({ value }) =>
    typeof value === 'string' ? value : childOf(value, 'name'),
  );
  return entriesAt(data, [...policyPath, 'copy']).flatMap(({ path, value }) => {
    const [from, to] = [childOf(value, 'from'), childOf(value, 'to')];
    const problems = ['from', 'to'].flatMap((key) => {
      const name = childOf(value, key);
      if (typeof name !== 'string' || repositories.includes(name)) return [];
      return [{ path: [...path, key], text: unknownName(name, 'repository', repositories) }];
    });
    if (problems.length > 0 || typeof to !== 'string') return problems;
    if (typeof from === 'string' && isArchive(data, from))
      return [{ path: [...path, 'from'], text: archiveFilledByCopies(from) }];
    if (from === to) return [{ path: [...path, 'to'], text: `found '${to}', expected another repository than from` }];
    if (!targets.includes(to)) return [];
    return [
      { path: [...path, 'to'], text: `found '${to}', expected a repository that the policy does not back up to` },
    ];
  });
}

const scheduleKeys = [['schedule'], ['verification', 'schedule'], ['proof', 'schedule'], ['retention', 'schedule']];

/** Schedules after the job of a component that does not exist. */
function scheduleProblems(data: unknown, policyPath: DocumentPath, components: readonly string[]): ReferenceProblem[] {
  const ofCopies = entriesAt(data, [...policyPath, 'copy']).map(({ path }) => [...path, 'schedule']);
  const places = [...scheduleKeys.map((keys) => [...policyPath, ...keys]), ...ofCopies];
  return places
    .flatMap((path) => entriesAt(data, path))
    .flatMap(({ path, value }) => {
      const name = childOf(value, 'of');
      if (typeof name !== 'string' || components.includes(name)) return [];
      return [{ path: [...path, 'of'], text: unknownName(name, 'component', components) }];
    });
}

/** Jobs that follow each other would never end. */
export function ringProblems(application: Application): ReferenceProblem[] {
  const stuck = jobsInRings(jobsOf(application));
  if (stuck.length === 0) return [];
  const names = stuck.map(({ id }) => id).join(', ');
  return [{ path: ['components'], text: `found jobs that start each other for ever, expected an end: ${names}` }];
}

function unknownName(name: string, kind: string, known: readonly string[]): string {
  const nearest = nearestOf(name, known);
  const list = known.length === 0 ? `there is no ${kind} yet` : `there are: ${known.map(shortened).join(', ')}`;
  const hint = nearest === undefined ? '' : `; did you mean '${nearest}'?`;
  return `found '${shortened(name)}', expected the name of ${/^[aeio]/.test(kind) ? 'an' : 'a'} ${kind} (${list})${hint}`;
}

function keysOf(value: unknown): string[] {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? Object.keys(value) : [];
}

/** What is allowed, but most likely not meant. A repository without a policy is neither: copies go there. */
export function configurationWarnings(
  application: Application,
  policyNames: ReadonlySet<string>,
  unset: ReadonlyMap<string, AppError>,
): Finding[] {
  const unusedPolicies = [...policyNames].map((name): Finding => ({
    aspect: `policy ${name}`,
    outcome: 'warning',
    message: 'no component uses it',
    hint: 'Use it or remove it.',
  }));
  const unusable = [...unset].map(([key, { message, hint }]): Finding => {
    return { aspect: key, outcome: 'warning', message, hint };
  });
  return [...unusedPolicies, ...unusable, ...application.components.flatMap(continuousProofFindings)];
}
