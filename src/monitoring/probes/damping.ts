// From single looks to what is said of something: one bad look changes nothing, and what goes up and down all the time is
// said to flap. Pure, over the history as it is kept.
import type { DampingSettings, ProbeOutcome } from '../../model/probe.ts';

export interface DampedState {
  readonly outcome: ProbeOutcome;
  /** It changed so often that the outcome alone says little. */
  readonly isFlapping: boolean;
  /** How many looks it has been so, the one that made it so included. */
  readonly lasted: number;
}

const gravity = { up: 0, degraded: 1, down: 2 } as const;
type Known = keyof typeof gravity;

const isKnown = (outcome: ProbeOutcome): outcome is Known => outcome !== 'unknown';

/**
 * `history`: outcomes, the oldest first. Something gets worse when `worse` of the last `of` looks that saw anything were at
 * least as bad, this one among them; better when the last `better` of them were at least as good. `worse` looks in a row that
 * saw nothing make it unknown, from where a first good look leads out. The result is never better than what was seen.
 */
export function damp(history: readonly ProbeOutcome[], settings: DampingSettings): DampedState {
  let state: DampedState = { outcome: 'unknown', isFlapping: false, lasted: 0 };
  const seen: Known[] = [];
  let blind = 0;
  for (const outcome of history) {
    blind = isKnown(outcome) ? 0 : blind + 1;
    if (isKnown(outcome)) seen.push(outcome);
    const next = isKnown(outcome)
      ? afterSeen(state.outcome, seen, settings)
      : blind >= settings.worse
        ? 'unknown'
        : state.outcome;
    const isFlapping = isKnown(outcome) ? flaps(seen, state.isFlapping, settings) : state.isFlapping;
    state = { outcome: next, isFlapping, lasted: next === state.outcome ? state.lasted + 1 : 1 };
  }
  return state;
}

function afterSeen(before: ProbeOutcome, seen: readonly Known[], settings: DampingSettings): ProbeOutcome {
  const latest = seen.at(-1) ?? 'up';
  const recent = seen.slice(-settings.of);
  const atLeast = (level: Known): number => recent.filter((one) => gravity[one] >= gravity[level]).length;
  const worsened = (['down', 'degraded'] as const).find(
    (level) => gravity[latest] >= gravity[level] && atLeast(level) >= settings.worse,
  );
  if (!isKnown(before)) return worsened ?? (latest === 'up' ? 'up' : before);
  if (worsened !== undefined && gravity[worsened] > gravity[before]) return worsened;
  // What made it bad is among them where there are fewer than that.
  const last = seen.slice(-settings.better);
  const worstOfLast = last.reduce<Known>((worst, one) => (gravity[one] > gravity[worst] ? one : worst), 'up');
  return gravity[worstOfLast] < gravity[before] ? worstOfLast : before;
}

/** Between the two shares it stays as it was, or it would flap between flapping and not. */
function flaps(seen: readonly Known[], before: boolean, settings: DampingSettings): boolean {
  const { flappingWindow, flappingStart, flappingStop } = settings;
  const window = seen.slice(-flappingWindow);
  const changes = window.filter((one, at) => at > 0 && one !== window[at - 1]).length;
  const share = changes / (flappingWindow - 1);
  return before ? share > flappingStop : share >= flappingStart;
}
