// Time enters through a parameter, so that tests and simulations decide what time it is.

export interface Clock {
  /** Milliseconds since 1970, as `Date` counts them. */
  now(): number;
}

export const systemClock: Clock = {
  now: () => new Date().getTime(),
};
