// Values of settings as SHOW words them. Pure.
const unitsMs: Readonly<Record<string, number>> = { ms: 1, s: 1_000, min: 60_000, h: 3_600_000, d: 86_400_000 };

/** `1min`, `4s`, `2500ms`; 0 for one that is switched off. */
export function settingMs(text: string): number {
  const match = /^(\d+)(ms|s|min|h|d)$/.exec(text);
  return match === null ? 0 : Number(match[1]) * (unitsMs[match[2] ?? ''] ?? 0);
}
