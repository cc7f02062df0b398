// Options of the demonstration that are no one's concern but the tests': they stand in no help and on no page.
import type { OptionDeclaration } from './options.ts';

export const demoOptions = {
  scale: {
    environment: 'LIFEBOAT_DEMO_SCALE',
    help: 'how much data the demonstration makes, as a multiple of the usual',
    default: 1,
    expected: 'a number from 0.01 to 20',
    parse: (text) => {
      const scale = Number(text);
      return scale >= 0.01 && scale <= 20 ? scale : undefined;
    },
  } satisfies OptionDeclaration<number>,
} as const;
