import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { AlertMessage } from '../../model/alert-message.ts';
import { cutBytes, cutText, fittingParts } from '../fitting-text.ts';
import { smsSegments, smsText } from './sms-text.ts';

const text = fc.string({ unit: 'grapheme', maxLength: 300 });
const messages: fc.Arbitrary<AlertMessage> = fc.record({
  alertId: fc.string(),
  application: text,
  environment: text,
  component: fc.option(text, { nil: undefined }),
  severity: fc.constantFrom('info', 'warning', 'critical'),
  state: fc.constantFrom('firing', 'acknowledged', 'resolved'),
  title: text,
  facts: fc.array(fc.record({ name: text, value: text })),
  hint: fc.option(text, { nil: undefined }),
  command: fc.option(text, { nil: undefined }),
  link: fc.option(text, { nil: undefined }),
  sinceMs: fc.nat(2 ** 31),
  atMs: fc.nat(2 ** 31),
});

describe('an SMS', () => {
  test('counts as telephones do: 160 of the GSM alphabet, 70 of others, fewer in each of several', () => {
    expect([160, 161, 306, 307].map((length) => smsSegments('x'.repeat(length)))).toEqual([1, 2, 2, 3]);
    expect([80, 81].map((length) => smsSegments('€'.repeat(length)))).toEqual([1, 2]);
    expect([70, 71, 134, 135].map((length) => smsSegments('ж'.repeat(length)))).toEqual([1, 2, 2, 3]);
    expect([35, 36].map((count) => smsSegments('🚨'.repeat(count)))).toEqual([1, 2]);
  });

  test('never takes more messages than allowed, whatever the alert says', () => {
    fc.assert(
      fc.property(messages, fc.integer({ min: 1, max: 10 }), (message, segmentsMax) => {
        expect(smsSegments(smsText(message, segmentsMax))).toBeLessThanOrEqual(segmentsMax);
      }),
    );
  });
});

describe('text that does not fit', () => {
  test('is cut to its limit between characters, and only then', () => {
    fc.assert(
      fc.property(text, fc.integer({ min: 3, max: 100 }), (whole, max) => {
        const short = cutText(whole, max);
        expect(short.length).toBeLessThanOrEqual(max);
        expect(short === whole).toBe(whole.length <= max);
        expect(short.isWellFormed()).toBe(true);
        const bytes = cutBytes(whole, max);
        expect(Buffer.byteLength(bytes)).toBeLessThanOrEqual(max);
        expect(bytes === whole).toBe(Buffer.byteLength(whole) <= max);
      }),
    );
  });

  test('loses parts from its end, with their number in their place', () => {
    const fits = (parts: readonly string[]): boolean => parts.join('').length <= 6;
    expect(fittingParts(['ab', 'cd', 'ef'], String, fits)).toEqual(['ab', 'cd', 'ef']);
    expect(fittingParts(['ab', 'cd', 'ef', 'gh'], String, fits)).toEqual(['ab', 'cd', '2']);
    expect(fittingParts(['abcdefg'], String, fits)).toEqual([]);
  });
});
