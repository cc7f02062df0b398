// The components of several applications as one list, in the order of their configuration: what lists of them go through, page by page.
import type { Component } from '../model/component.ts';
import type { Tenant } from '../service/tenant.ts';
import type { ConfiguredPlace } from './page.ts';

export interface ConfiguredComponent {
  readonly application: string;
  readonly component: Component;
}

export const configuredComponents = (tenants: readonly Tenant[]): ConfiguredComponent[] =>
  tenants.flatMap(({ application: { name: application, components } }) =>
    components.map((component) => ({ application, component })),
  );

export const componentPlace = ({ application, component }: ConfiguredComponent): ConfiguredPlace => [
  application,
  component.name,
];
