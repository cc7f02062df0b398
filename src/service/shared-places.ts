// What two applications of one server have in common, most likely without meaning it: the same place for backups, or the same data. It
// is told, since one template for many customers makes it one forgotten parameter away.
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
