// How probes stand and how much of the time what they look at worked, from what the service has seen.
import {
  hourMs,
  latencyBounds,
  latencyCounts,
  probeChangesSince,
  probeHours,
  probeStatesOf,
  type ProbeStateRow,
} from '../catalog/probe-states.ts';
import type { Catalog } from '../catalog/catalog.ts';
import { availabilityOf, latencyQuantile, outagesOf, type Availability, type Outages } from '../model/availability.ts';

export interface ProbeAvailability extends Availability, Outages {
  readonly state: ProbeStateRow;
  /** Of the last 24 hours. */
  readonly lastDayPercent: number | undefined;
  /** 95 of 100 answers took at most so long; undefined if none came, or they took longer than 10 s. */
  readonly latency95Ms: number | undefined;
}

export interface AvailabilityWish {
  /** All if none are named. */
  readonly applications?: readonly string[] | undefined;
  readonly days: number;
  /** Outages are fewer than looks: how far back they count, if not as far. */
  readonly outageDays?: number;
}

export async function probeAvailabilities(
  catalog: Catalog,
  { applications, days, outageDays = days }: AvailabilityWish,
): Promise<ProbeAvailability[]> {
  const nowMs = await catalog.nowMs();
  const states = await probeStatesOf(catalog, applications);
  const hours = await probeHours(catalog, { applications, sinceMs: nowMs - days * 24 * hourMs });
  const changes = await probeChangesSince(catalog, { applications, sinceMs: nowMs - outageDays * 24 * hourMs });
  const keyOf = ({ application, probe }: Pick<ProbeStateRow, 'application' | 'probe'>): string =>
    `${application}/${probe}`;
  const byProbe = Map.groupBy(hours, keyOf);
  const changesOf = Map.groupBy(changes, keyOf);
  return states.map((state) => {
    const own = byProbe.get(keyOf(state)) ?? [];
    const latencyMs = latencyQuantile(own.map(latencyCounts), latencyBounds, 0.95);
    return {
      ...availabilityOf(own),
      ...outagesOf(changesOf.get(keyOf(state)) ?? []),
      state,
      lastDayPercent: availabilityOf(own.filter((hour) => hour.hourMs > nowMs - 24 * hourMs)).percent,
      latency95Ms: latencyMs === Infinity ? undefined : latencyMs,
    };
  });
}
