// How long somebody must wait who got it wrong too often: longer each time, and never so long that a stranger could keep the owner out
// for a day.

export interface LockOutRule {
  /** Wrong without consequences. */
  readonly freeFailures: number;
  readonly firstDelayMs: number;
  readonly delayMaxMs: number;
}

export const accountRule: LockOutRule = { freeFailures: 5, firstDelayMs: 30_000, delayMaxMs: 15 * 60_000 };
/** Many people may come from one address. */
export const addressRule: LockOutRule = { freeFailures: 20, firstDelayMs: 30_000, delayMaxMs: 60 * 60_000 };

/** When the next attempt is looked at; undefined for at once. */
export function lockedUntilMs(
  { failures, lastAtMs }: { readonly failures: number; readonly lastAtMs: number },
  { freeFailures, firstDelayMs, delayMaxMs }: LockOutRule,
): number | undefined {
  const excess = failures - freeFailures;
  return excess < 0 ? undefined : lastAtMs + Math.min(delayMaxMs, firstDelayMs * 2 ** Math.min(excess, 30));
}

/** Of an IPv6 address the network: one customer has 2⁶⁴ of them. */
export function networkOf(address: string): string {
  const plain = address.replace(/^::ffff:(?=\d+\.)/i, '');
  if (!plain.includes(':')) return plain;
  const [head = '', tail] = plain.split('%')[0]?.split('::') ?? [];
  const left = head === '' ? [] : head.split(':');
  const right = tail === undefined || tail === '' ? [] : tail.split(':');
  const middle = Array.from({ length: Math.max(0, 8 - left.length - right.length) }, () => '0');
  const groups = tail === undefined ? left : [...left, ...middle, ...right];
  const first = groups.slice(0, 4).map((group) => Number.parseInt(group, 16).toString(16));
  return `${first.join(':')}::/64`;
}
