// `alerts silence`: nobody is told for a while, of one component, one alert or of the whole application.
import { shortEnding } from '../id-ending.ts';
import { parseDuration, durationForm } from '../../base/duration.ts';
import { AppError } from '../../base/errors.ts';
import { beginSilence } from '../../service/alert-answers.ts';
import { openAccess } from '../access-log.ts';
import { requireAlert } from '../alert-words.ts';
import { requireConfiguration } from '../component-choice.ts';
import { defineCommand } from '../command.ts';
import { optionalArgument, parsedOption, textOption } from '../option.ts';
import { shortTime } from '../style.ts';

const lastsDefaultMs = 3_600_000;

export const alertsSilenceCommand = defineCommand({
  summary: 'Tell nobody for a while',
  details:
    'Of one component, of one alert with --alert, or of the whole application. What is wrong is still looked for and listed; who would have been told is told when the silence is over, if it lasts. For what comes again every week give the component a `maintenance`.',
  examples: [
    "lifeboat alerts silence database --for 2h --reason 'we move it'",
    'lifeboat alerts silence --alert 3f2a9c01 --for 1d',
    'lifeboat alerts silence',
  ],
  arguments: { component: optionalArgument('[component]', 'component of lifeboat.yaml; all of it if absent') },
  options: {
    alert: textOption('--alert <alert>', 'only of what this alert is about, now and when it comes again'),
    lastsMs: parsedOption('--for <duration>', 'how long (default: 1h)', {
      expected: durationForm,
      parse: (text) => parseDuration(text) || undefined,
    }),
    reason: textOption('--reason <text>', 'why, for the others'),
  },
  async run(context, { component, alert: text, lastsMs = lastsDefaultMs, reason = null }) {
    if (component !== undefined && text !== undefined) {
      throw new AppError('USAGE', 'found a component and --alert', { hint: 'Name one of them.' });
    }
    await using access = await openAccess(context);
    const alert = text === undefined ? undefined : await requireAlert(access.log.catalog, text);
    const application = alert?.application ?? (await applicationWith(component, context));
    const wish = { application, component: component ?? null, subject: alert?.subject ?? null, reason, lastsMs };
    const { id, untilMs } = await beginSilence(access.log, wish, access.actor);
    return { id, application, component, subject: alert?.subject, until: new Date(untilMs).toISOString() };
  },
  render({ id, application, component, subject, until }, style) {
    return `nobody is told of ${component ?? subject ?? application} until ${shortTime(until, style)} (silence ${shortEnding(id)})`;
  },
});

async function applicationWith(
  component: string | undefined,
  context: Parameters<typeof requireConfiguration>[0],
): Promise<string> {
  const { application } = await requireConfiguration(context);
  const known = application.components.map(({ name }) => name);
  if (component === undefined || known.includes(component)) return application.name;
  throw new AppError('NOT_FOUND', `there is no component '${component}' in lifeboat.yaml`, {
    hint: `Choose one of these: ${known.join(', ')}.`,
  });
}
