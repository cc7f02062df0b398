// How probes stand and how much of the time what they look at worked, from what the service has seen.
import {
  hourMs,
  latencyBounds,
  latencyCounts,
  probeHours,
  probeStatesOf,
  type ProbeStateRow,
} from '../catalog/probe-states.ts';
import type { Catalog } from '../catalog/catalog.ts';
import { availabilityOf, latencyQuantile, type Availability } from '../model/availability.ts';

export interface ProbeAvailability extends Availability {
  readonly state: ProbeStateRow;
  /** Of the last 24 hours. */
  readonly lastDayPercent: number | undefined;
  /** 95 of 100 answers took at most so long; undefined if none came, or they took longer than 10 s. */
  readonly latency95Ms: number | undefined;
}

/** Of all applications if none are named. */
export async function probeAvailabilities(
  catalog: Catalog,
  { applications, days }: { readonly applications?: readonly string[] | undefined; readonly days: number },
): Promise<ProbeAvailability[]> {
  const nowMs = await catalog.nowMs();
  const states = await probeStatesOf(catalog, applications);
  const hours = await probeHours(catalog, { applications, sinceMs: nowMs - days * 24 * hourMs });
  const keyOf = ({ application, probe }: Pick<ProbeStateRow, 'application' | 'probe'>): string =>
    `${application}/${probe}`;
  const byProbe = Map.groupBy(hours, keyOf);
  return states.map((state) => {
    const own = byProbe.get(keyOf(state)) ?? [];
    const latencyMs = latencyQuantile(own.map(latencyCounts), latencyBounds, 0.95);
    return {
      ...availabilityOf(own),
      state,
      lastDayPercent: availabilityOf(own.filter((hour) => hour.hourMs > nowMs - 24 * hourMs)).percent,
      latency95Ms: latencyMs === Infinity ? undefined : latencyMs,
    };
  });
}
