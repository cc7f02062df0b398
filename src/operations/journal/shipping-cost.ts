// What an interval costs where requests are paid for. Pure.

export interface ShippingRates {
  readonly intervalMs: number;
  /** Of the journal; an idle one writes no parts. */
  readonly bytesPerDay: number;
  readonly segmentBytes: number;
  /** Share of the intervals in which the server wrote something, 0 … 1. */
  readonly busyShare: number;
  /** True where acknowledged is what is in the repository: then each part is followed by a look at the lease. */
  readonly isAcknowledged: boolean;
  readonly leaseRefreshMs: number;
}

export interface ShippingCost {
  /** Objects written: parts, sealed segments, joined parts, signs of life. */
  readonly putsPerDay: number;
  readonly listsPerDay: number;
}

const dayMs = 86_400_000;
const partsMax = 64;

/** At most one part an interval, whatever the rate: a server that writes more makes larger ones. */
export function shippingCost(rates: ShippingRates): ShippingCost {
  const { intervalMs, bytesPerDay, segmentBytes, busyShare, isAcknowledged, leaseRefreshMs } = rates;
  const parts = (dayMs / intervalMs) * busyShare;
  const segments = bytesPerDay / segmentBytes;
  const looks = dayMs / leaseRefreshMs;
  return {
    putsPerDay: Math.ceil(parts + parts / partsMax + segments + looks),
    listsPerDay: Math.ceil(looks + (isAcknowledged ? parts + segments : 0)),
  };
}
