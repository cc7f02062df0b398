// How components stand as the server saw it last: out of its catalog, without a look at any repository, for monitors and people in a hurry.
import { AppError } from '../base/errors.ts';
import { count } from '../base/count.ts';
import { isoTime } from '../base/iso-time.ts';
import { standingsOf } from '../catalog/standings.ts';
import { ageNowMs, standingNow, type Standing } from '../model/standing.ts';
import type { CommandContext } from './context.ts';
import { ageWords, wrap, type Paint, type Style } from './style.ts';
import { table } from './table.ts';
import { isOfSeveral } from './whose.ts';

export interface LastStanding {
  readonly application: string;
  readonly component: string;
  readonly standing: Standing;
  readonly reason: string;
  readonly hint: string | undefined;
  /** Now, if nothing came since it was looked at. */
  readonly ageMs: number | undefined;
  readonly rpoMs: number | undefined;
  /** RFC 3339. */
  readonly since: string;
  readonly seenAt: string;
}

export interface LastStatus {
  readonly standings: readonly LastStanding[];
}

/** Rejects with `NOT_FOUND` if no server has looked at any of them. */
export async function lastStatus(context: CommandContext, names: readonly string[]): Promise<LastStatus> {
  const application = (await context.findConfiguration())?.application.name;
  await using catalog = await context.openCatalog();
  const rows = await standingsOf(catalog, application === undefined ? undefined : [application]);
  const nowMs = await catalog.nowMs();
  const found = rows
    .filter(({ component }) => names.length === 0 || names.includes(component))
    .map((row) => {
      const { standing, reason, hint } = standingNow(row, nowMs);
      return {
        application: row.application,
        component: row.component,
        standing,
        reason,
        hint,
        ageMs: ageNowMs(row, nowMs),
        rpoMs: row.rpoMs ?? undefined,
        since: isoTime(row.sinceMs),
        seenAt: isoTime(row.seenAtMs),
      };
    });
  if (found.length > 0) return { standings: found };
  throw new AppError('NOT_FOUND', `no server has looked at ${names.length === 0 ? 'anything' : names.join(', ')} yet`, {
    hint: "Start 'lifeboat server', or leave --last out to look at the repositories themselves.",
  });
}

const paints: Readonly<Record<Standing, Paint>> = {
  protected: 'green',
  at_risk: 'yellow',
  overdue: 'red',
  unprotected: 'red',
  unknown: 'yellow',
};
const words = (standing: Standing): string => standing.replace('_', ' ');

/** Between two looks it is five minutes at most. */
const lookAgeMaxMs = 6 * 60_000;

export function renderLast({ standings: all }: LastStatus, style: Style): string {
  const columns = [
    { title: 'Component', shrinksTo: 10 },
    { title: 'Stands' },
    { title: 'Since', shrinksTo: 8 },
    { title: 'Why', shrinksTo: 20 },
  ];
  const nameOf = namesIn(all);
  const rows = all.map((one) => [
    nameOf(one),
    style.paint(paints[one.standing], words(one.standing)),
    ageWords(one.since, style),
    one.reason,
  ]);
  const hints = [...new Set(all.flatMap(({ hint }) => hint ?? []))];
  const [eldest = ''] = all.map(({ seenAt }) => seenAt).toSorted();
  const isLate = style.nowMs - Date.parse(eldest) > lookAgeMaxMs;
  const notes = [
    ...(isLate ? [`a server looked last ${ageWords(eldest, style)}`] : []),
    ...hints.map((hint) => `hint: ${hint}`),
    // The commands in the hints are about one application each.
    ...(isOfSeveral([], all) && hints.some((hint) => /'lifeboat (?!server)/.test(hint))
      ? ['hint: Add --config and the file of the application.']
      : []),
  ];
  return [table(columns, rows, style), ...notes.flatMap((note) => wrap(note, style.widthColumns))].join('\n');
}

/** `database`; of several applications `acme/database`. */
function namesIn(all: LastStatus['standings']): (one: LastStanding) => string {
  const isNamed = isOfSeveral([], all);
  return ({ application, component }) => (isNamed ? `${application}/${component}` : component);
}

/** Worst first. */
const severity: readonly Standing[] = ['unprotected', 'overdue', 'unknown', 'at_risk', 'protected'];

export function worstOf({ standings: all }: LastStatus): Standing {
  return severity.find((standing) => all.some((one) => one.standing === standing)) ?? 'unknown';
}

/** Of plugins for Nagios and its kin: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN. */
export const nagiosExitCodes: Readonly<Record<Standing, number>> = {
  protected: 0,
  at_risk: 1,
  overdue: 2,
  unprotected: 2,
  unknown: 3,
};
const nagiosWords = ['OK', 'WARNING', 'CRITICAL', 'UNKNOWN'] as const;

/** One line and performance data: ages in seconds against their RPO. */
export function renderNagios(last: LastStatus, problem?: string): string {
  const worst = worstOf(last);
  const nameOf = namesIn(last.standings);
  const bad = last.standings.filter(({ standing }) => standing !== 'protected');
  const known =
    bad.length === 0
      ? `${count(last.standings.length, 'component')} protected`
      : bad.map((one) => `${nameOf(one)} is ${words(one.standing)} (${one.reason})`).join('; ');
  const text = problem ?? known;
  const data = last.standings.flatMap((one) => {
    const { ageMs, rpoMs } = one;
    if (ageMs === undefined) return [];
    return [`'${nameOf(one)}'=${Math.round(ageMs / 1000)}s;;${rpoMs === undefined ? '' : Math.round(rpoMs / 1000)};0`];
  });
  // A bar ends the text there.
  const line = `LIFEBOAT ${nagiosWords[nagiosExitCodes[worst]] ?? ''} - ${text.replaceAll(/[|\n]/g, ' ')}`;
  return data.length === 0 ? line : `${line} | ${data.join(' ')}`;
}
