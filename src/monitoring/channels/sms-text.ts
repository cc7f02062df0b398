// An alert in as few characters as a telephone takes: 160 of the GSM alphabet in one message, 153 in each of several; 70
// and 67 once a single character is not in that alphabet.
import type { AlertMessage } from '../../model/alert-message.ts';
import { oneLine } from '../fitting-text.ts';
import { actionLines, factValue, subject, timeWords } from './message-text.ts';

const basic = new Set(
  '@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !"#¤%&\'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà',
);
/** Each takes two places. */
const extended = new Set('^{}\\[~]|€');
const replacements: readonly (readonly [RegExp, string])[] = [
  [/[‘’‚`´]/g, "'"],
  [/[“”„]/g, '"'],
  [/[–—‑]/g, '-'],
  [/…/g, '...'],
  [/≥/g, '>='],
  [/≤/g, '<='],
  [/→/g, '->'],
  [/\u00A0/g, ' '],
];

/** How many messages a text takes. */
export function smsSegments(text: string): number {
  const characters = Array.from(text);
  const isGsm = characters.every((character) => basic.has(character) || extended.has(character));
  if (!isGsm) return text.length <= 70 ? 1 : Math.ceil(text.length / 67);
  const places = characters.reduce((sum, character) => sum + (extended.has(character) ? 2 : 1), 0);
  return places <= 160 ? 1 : Math.ceil(places / 153);
}

/** The headline always, cut if need be; then what else fits, the most useful first. */
export function smsText(message: AlertMessage, segmentsMax: number): string {
  const fits = (text: string): boolean => smsSegments(text) <= segmentsMax;
  let text = plainEnough(`${wordOf(message)} ${subject(message)}`);
  if (!fits(text)) return cutToFit(text, fits);
  for (const part of partsOf(message).map(plainEnough)) {
    const longer = `${text}. ${part}`;
    if (fits(longer)) text = longer;
  }
  return text;
}

function wordOf({ severity, state }: AlertMessage): string {
  return (state === 'firing' ? severity : state).toUpperCase();
}

function partsOf(message: AlertMessage): string[] {
  const [first, ...others] = message.facts.map((fact) => `${oneLine(fact.name)} ${factValue(fact)}`);
  const time = message.state === 'firing' ? `Since ${timeWords(message.sinceMs)}` : `At ${timeWords(message.atMs)}`;
  // A full stop after the hint would double with the separator.
  const actions = actionLines(message).map(({ value }) => value.replace(/\.$/, ''));
  return [...(first === undefined ? [] : [first]), time, ...actions, ...others];
}

function plainEnough(text: string): string {
  return replacements.reduce((rest, [pattern, by]) => rest.replaceAll(pattern, by), text);
}

function cutToFit(text: string, fits: (text: string) => boolean): string {
  const characters = Array.from(text);
  while (characters.length > 0 && !fits(`${characters.join('')}...`)) characters.pop();
  return `${characters.join('')}...`;
}
