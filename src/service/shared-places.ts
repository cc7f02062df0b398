// What two applications of one server have in common, most likely without meaning it: the same place for backups, or the same data. It
// is told, since one template for many customers makes it one forgotten parameter away.
import { count } from '../base/count.ts';
import type { Application } from '../model/application.ts';
import type { Component } from '../model/component.ts';

/** One line each; no secret. */
export function sharedPlaces(applications: readonly Application[]): string[] {
  const repositories = applications.flatMap(({ name, repositories: all }) =>
    all.map(({ name: own, location, s3 }) => ({ name, own, key: JSON.stringify([location, s3?.endpoint]) })),
  );
  const data = applications.flatMap(({ name, components }) =>
    components.flatMap((component) => dataOf(component).map((key) => ({ name, own: component.name, key }))),
  );
  return [
    ...sharedBy(repositories).map(
      (names) => `${names} are one repository: whoever has its password can read the backups of both`,
    ),
    ...sharedBy(data).map((names) => `${names} are the same data: each of the applications backs it up`),
  ];
}

/** The first of several, whose repositories hold the state of all though its file does not say so; undefined where there is none. */
export function stateAmongOthers([first, ...others]: readonly Application[]): string | undefined {
  return first === undefined || others.length === 0 ? undefined : unplacedState(first, others.length + 1);
}

/** Of an application whose repositories hold the state of a server of so many. */
export function unplacedState({ name, selfBackup }: Application, applications: number): string | undefined {
  if (selfBackup === undefined || selfBackup.isPlaced) return undefined;
  return `the state of the server, with the files, users and runs of ${count(applications, 'application')}, goes into ${selfBackup.repositories.map((own) => `${name}/${own}`).join(' and ')}, and service.selfBackup.repositories does not say so`;
}

/** One line for each place of one application that has two names. */
export function sharedWithin({ repositories }: Application): string[] {
  const groups = [
    ...Map.groupBy(repositories, ({ location, s3 }) => JSON.stringify([location, s3?.endpoint])).values(),
  ];
  return groups
    .filter((group) => group.length > 1)
    .map((group) => `${group.map(({ name }) => name).join(' and ')} are one place: ${group[0]?.location ?? ''}`);
}

interface Named {
  /** Of the application. */
  readonly name: string;
  readonly own: string;
  readonly key: string;
}

function sharedBy(all: readonly Named[]): string[] {
  const groups = [...Map.groupBy(all, ({ key }) => key).values()];
  const shared = groups.filter((group) => new Set(group.map(({ name }) => name)).size > 1);
  return [...new Set(shared.map((group) => group.map(({ name, own }) => `${name}/${own}`).join(' and ')))];
}

/** A key for each place that it reads. */
function dataOf(component: Component): string[] {
  if (component.type === 'files') return component.paths.map((path) => JSON.stringify(['path', path]));
  if (component.type !== 'postgres' && component.type !== 'redis') return [];
  const { type, url, host = 'localhost', port } = component;
  const databases = component.type === 'postgres' ? component.databases : undefined;
  return [JSON.stringify([type, url ?? host, port, databases])];
}
