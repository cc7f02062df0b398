// How a standby is, in words.
import { formatByteSize } from '../base/byte-size.ts';
import { formatAge } from '../base/duration.ts';
import type { StandbyEnd, StandbyFigures } from '../sources/standby.ts';
import type { StandbyStatus } from './standby-look.ts';
import { ageWords, shortTime, type Style, wrap } from './style.ts';

/** `at 0/3000060, 16 kB behind the journal, as of 2 s ago`. */
export function figuresWords({ phase, replayed, lagBytes, ageMs, problem }: StandbyFigures): string {
  return [
    ...(phase === 'following' ? [] : [phase]),
    ...(replayed === undefined ? [] : [`at ${replayed.position}`]),
    ...lagWords({ lagBytes, ageMs }),
    ...(problem === undefined ? [] : [problem]),
  ].join(', ');
}

function lagWords({ lagBytes, ageMs }: Pick<StandbyFigures, 'lagBytes' | 'ageMs'>): string[] {
  const behind = lagBytes === 0 ? 'has all of the journal' : `${formatByteSize(lagBytes ?? 0)} behind the journal`;
  return [
    ...(lagBytes === undefined ? [] : [behind]),
    ...(ageMs === undefined ? [] : [`as of ${formatAge(ageMs)} ago`]),
  ];
}

/** What `status` says of one: `standby of database: following, at …`. */
export function standbyLines({ component, isRunning, record }: StandbyStatus, style: Style): string[] {
  const say = (...words: readonly string[]): string[] =>
    wrap(`standby of ${component}: ${words.join(', ')}`, style.widthColumns);
  if (record === undefined) return say(style.paint('yellow', 'never ran here'));
  const { phase, replayed, lagBytes, ageMs, writtenAtMs, problem, proof, promoted } = record;
  const since = ageWords(new Date(writtenAtMs).toISOString(), style);
  if (phase === 'promoted') return say(`${style.paint('yellow', 'took over')} ${since}`, promoted?.connection ?? '');
  const isGood = phase === 'following' || phase === 'comparing';
  const state = isRunning ? style.paint(isGood ? 'green' : 'yellow', phase) : style.paint('yellow', `stopped ${since}`);
  return say(
    state,
    ...(replayed === undefined ? [] : [`at ${replayed.position}`]),
    // Its figures grow old with it, and of one that stopped nobody knows what came since.
    ...lagWords({
      lagBytes: isRunning ? lagBytes : undefined,
      ageMs: ageMs === undefined ? undefined : ageMs + Math.max(0, style.nowMs - writtenAtMs),
    }),
    ...(problem === undefined ? [] : [style.paint('yellow', problem)]),
    ...(proof === undefined ? [] : [`compared: ${proof.outcome} ${ageWords(proof.time, style)}`]),
  );
}

export function promotedLines(
  component: string,
  end: Extract<StandbyEnd, { kind: 'promoted' }>,
  style: Style,
): string[] {
  const { description, reached, connection, dataFolder, settingsFolder, notes } = end;
  const when = reached.timeUs === undefined ? '' : `, its last change of ${shortTime(isoOf(reached.timeUs), style)}`;
  return [
    ...wrap(`${description} of ${component} has taken over at ${reached.position}${when}:`, style.widthColumns),
    `  ${connection}`,
    `  data directory  ${dataFolder}`,
    `  settings, log   ${settingsFolder}`,
    ...notes.flatMap((note) => wrap(note, style.widthColumns)),
  ];
}

const isoOf = (timeUs: number): string => new Date(timeUs / 1000).toISOString();
